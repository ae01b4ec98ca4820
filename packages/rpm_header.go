package packages

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/licence"
)

// The tags we read, and their types (rpm's rpmtag.h and header(5)).
const (
	rpmName, rpmVersion, rpmRelease, rpmEpoch = 1000, 1001, 1002, 1003
	rpmSummary, rpmVendorTag, rpmLicence      = 1004, 1011, 1014
	rpmPackager, rpmURL, rpmArch              = 1015, 1020, 1022
	rpmOldFileNames, rpmFileModes             = 1027, 1030
	rpmFileDigests, rpmSourceRPM              = 1035, 1044
	rpmProvideName                            = 1047
	rpmRequireFlags, rpmRequireName           = 1048, 1049
	rpmRequireVersion                         = 1050
	rpmDirIndexes, rpmBaseNames, rpmDirNames  = 1116, 1117, 1118
	rpmFileDigestAlgo, rpmModularity          = 5011, 5096
	rpmSigMD5, rpmSHA1, rpmSHA256             = 261, 269, 273

	rpmInt16, rpmInt32, rpmString = 3, 4, 6
	rpmBin, rpmStringArray        = 7, 8
	rpmI18NString                 = 9
)

// maxRPMEntries and maxRPMFiles are rpm's own limit on the entries of a header, and ours on its files.
const (
	maxRPMEntries = 0x0000ffff
	maxRPMFiles   = 1 << 20
)

// maxRPMPathGrowth is how many times larger than its header a package's list of paths may be: each path repeats
// the name of its folder, so that a few bytes can ask for very many.
const maxRPMPathGrowth = 32

// rpmHeader is a header's store with the places of the tags in it.
type rpmHeader struct {
	store []byte
	tags  map[uint32]rpmEntry
}

type rpmEntry struct{ kind, offset, count uint32 }

// parseRPMHeader reads a package from its header. ok is false for what is no package: the keys that rpm keeps
// in the same table.
func parseRPMHeader(blob []byte) (p seaworthy.Package, ok bool, err error) {
	h, err := openRPMHeader(blob)
	if err != nil {
		return p, false, err
	}
	p.Ecosystem = "rpm"
	p.Name = h.text(rpmName)
	if p.Name == "gpg-pubkey" {
		return p, false, nil
	}
	version, release := h.text(rpmVersion), h.text(rpmRelease)
	if p.Name == "" || version == "" {
		return p, false, rpmBroken("package %q has no name or version", p.Name)
	}
	p.Version = version
	if release != "" {
		p.Version += "-" + release
	}
	if epoch, ok := h.number(rpmEpoch); ok {
		p.Version = strconv.FormatUint(uint64(epoch), 10) + ":" + p.Version
	}
	p.Arch = h.text(rpmArch)
	p.Description = h.text(rpmSummary)
	p.Homepage = h.text(rpmURL)
	p.Licences.Declared = licence.Normalise(h.text(rpmLicence))
	if vendor := h.text(rpmVendorTag); vendor != "" && vendor != "(none)" {
		p.Supplier = seaworthy.Party{Kind: seaworthy.Organization, Name: vendor}
	}
	if packager := h.text(rpmPackager); packager != "" && packager != "(none)" {
		party := parseParty(packager)
		if p.Supplier.Name == "" {
			p.Supplier = party
		} else if party.Name != p.Supplier.Name {
			p.Originator = party
		}
	}
	p.Source = sourceRPM(h.text(rpmSourceRPM))
	p.Files = h.files()
	p.Depends = h.requires()
	h.properties(&p)
	return p, true, nil
}

func openRPMHeader(blob []byte) (*rpmHeader, error) {
	if len(blob) < 8 {
		return nil, rpmBroken("a header of %d bytes", len(blob))
	}
	entries, size := binary.BigEndian.Uint32(blob), binary.BigEndian.Uint32(blob[4:])
	if entries > maxRPMEntries || uint64(8+16*entries)+uint64(size) > uint64(len(blob)) {
		return nil, rpmBroken("a header of %d bytes says it has %d entries and %d bytes", len(blob), entries, size)
	}
	h := &rpmHeader{store: blob[8+16*entries:][:size], tags: make(map[uint32]rpmEntry, entries)}
	for i := range entries {
		e := blob[8+16*i:]
		tag := binary.BigEndian.Uint32(e)
		if _, twice := h.tags[tag]; !twice {
			h.tags[tag] = rpmEntry{binary.BigEndian.Uint32(e[4:]), binary.BigEndian.Uint32(e[8:]), binary.BigEndian.Uint32(e[12:])}
		}
	}
	return h, nil
}

// bytes returns the store from the tag's value on.
func (h *rpmHeader) bytes(tag uint32, kinds ...uint32) ([]byte, uint32) {
	e, ok := h.tags[tag]
	if !ok || uint64(e.offset) > uint64(len(h.store)) {
		return nil, 0
	}
	for _, k := range kinds {
		if e.kind == k {
			return h.store[e.offset:], e.count
		}
	}
	return nil, 0
}

// text copies the first string of a tag.
func (h *rpmHeader) text(tag uint32) string {
	b, n := h.bytes(tag, rpmString, rpmStringArray, rpmI18NString)
	if n == 0 {
		return ""
	}
	b, _, _ = bytes.Cut(b, []byte{0})
	return text(b)
}

// strings returns the strings of a tag as parts of the store.
func (h *rpmHeader) strings(tag uint32) [][]byte {
	b, n := h.bytes(tag, rpmStringArray, rpmString)
	if uint64(n) > uint64(len(b)) || n > maxRPMFiles { // each takes at least its zero byte
		return nil
	}
	out := make([][]byte, 0, n)
	for range n {
		var s []byte
		var ok bool
		if s, b, ok = bytes.Cut(b, []byte{0}); !ok {
			break
		}
		out = append(out, s)
	}
	return out
}

// numbers returns the 32-bit numbers of a tag, big-endian.
func (h *rpmHeader) numbers(tag uint32) []byte {
	b, n := h.bytes(tag, rpmInt32)
	if uint64(n)*4 > uint64(len(b)) {
		return nil
	}
	return b[:n*4]
}

func (h *rpmHeader) number(tag uint32) (uint32, bool) {
	b := h.numbers(tag)
	if len(b) < 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(b), true
}

// rpmDigestAlgorithms are the numbers of OpenPGP (RFC 9580 section 9.5), which rpm uses.
var rpmDigestAlgorithms = map[uint32]string{1: "md5", 2: "sha1", 8: "sha256", 9: "sha384", 10: "sha512", 11: "sha224", 12: "sha3-256", 14: "sha3-512"}

// files lists what the package owns but for its folders. All strings share one copy.
func (h *rpmHeader) files() []seaworthy.OwnedFile {
	algorithm := "md5"
	if n, ok := h.number(rpmFileDigestAlgo); ok {
		algorithm = rpmDigestAlgorithms[n]
	}
	names, dirs, indexes := h.strings(rpmBaseNames), h.strings(rpmDirNames), h.numbers(rpmDirIndexes)
	if len(names) == 0 { // rpm 3 kept whole paths
		names = h.strings(rpmOldFileNames)
		dirs, indexes = nil, nil
	}
	digests := h.strings(rpmFileDigests)
	modes, modeCount := h.bytes(rpmFileModes, rpmInt16)
	type span struct{ path, end int }
	spans := make([]span, 0, len(names))
	size := 0
	for i, name := range names {
		size += len(name)
		if i < len(digests) && len(digests[i]) > 0 {
			size += len(algorithm) + 1 + len(digests[i])
		}
		if d := dirOf(dirs, indexes, i); len(d) > 0 {
			size += len(d)
		}
		if size > 64<<10+maxRPMPathGrowth*len(h.store) {
			return nil
		}
	}
	slab := make([]byte, 0, size)
	for i, name := range names {
		if 2*i+2 <= len(modes) && uint32(i) < modeCount && binary.BigEndian.Uint16(modes[2*i:])&0xf000 == 0x4000 {
			continue
		}
		var s span
		if i < len(digests) && len(digests[i]) > 0 && algorithm != "" && isHex(digests[i]) {
			slab = append(append(append(slab, algorithm...), ':'), digests[i]...)
		}
		s.path = len(slab)
		dir := bytes.TrimLeft(dirOf(dirs, indexes, i), "/")
		if len(dir) == 0 {
			name = bytes.TrimLeft(name, "/")
		}
		slab = append(append(slab, dir...), name...)
		s.end = len(slab)
		spans = append(spans, s)
	}
	all := string(slab)
	out := make([]seaworthy.OwnedFile, 0, len(spans))
	start := 0
	for _, s := range spans {
		if s.end > s.path {
			out = append(out, seaworthy.OwnedFile{Digest: seaworthy.Digest(all[start:s.path]), Path: strings.ToValidUTF8(all[s.path:s.end], "\uFFFD")})
		}
		start = s.end
	}
	return sortFiles(out)
}

func dirOf(dirs [][]byte, indexes []byte, i int) []byte {
	if 4*i+4 > len(indexes) {
		return nil
	}
	if n := binary.BigEndian.Uint32(indexes[4*i:]); uint64(n) < uint64(len(dirs)) {
		return dirs[n]
	}
	return nil
}

// The bits of a requirement's flags (rpm's rpmds.h).
const rpmLess, rpmGreater, rpmEqual = 2, 4, 8

// requires lists what the package needs, each name once. What rpm itself must be able to do is left out.
func (h *rpmHeader) requires() []seaworthy.Dependency {
	names, versions, flags := h.strings(rpmRequireName), h.strings(rpmRequireVersion), h.numbers(rpmRequireFlags)
	seen := make(map[string]int, len(names))
	var out []seaworthy.Dependency
	for i, b := range names {
		if len(b) == 0 || bytes.HasPrefix(b, []byte("rpmlib(")) {
			continue
		}
		rng := ""
		if i < len(versions) && len(versions[i]) > 0 && 4*i+4 <= len(flags) {
			f := binary.BigEndian.Uint32(flags[4*i:])
			op := ""
			for _, sign := range [...]struct {
				bit  uint32
				text string
			}{{rpmLess, "<"}, {rpmGreater, ">"}, {rpmEqual, "="}} {
				if f&sign.bit != 0 {
					op += sign.text
				}
			}
			if op != "" {
				rng = op + " " + text(versions[i])
			}
		}
		if at, twice := seen[string(b)]; twice {
			if d := &out[at]; rng != "" && d.Range != rng && len(d.Range) < 256 {
				if d.Range != "" {
					d.Range += ", "
				}
				d.Range += rng
			}
			continue
		}
		name := text(b)
		seen[name] = len(out)
		out = append(out, seaworthy.Dependency{Name: name, Range: rng})
	}
	return out
}

// properties keeps what has no field: the modularity label, the hashes over header and payload, and at the end
// what the package provides.
func (h *rpmHeader) properties(p *seaworthy.Package) {
	add := func(name, value string) {
		if value != "" {
			p.Properties = append(p.Properties, seaworthy.Property{Name: name, Value: value})
		}
	}
	add("rpm:modularitylabel", h.text(rpmModularity))
	add("rpm:header-sha256", h.text(rpmSHA256))
	add("rpm:header-sha1", h.text(rpmSHA1))
	if b, n := h.bytes(rpmSigMD5, rpmBin); n == 16 && len(b) >= 16 {
		add("rpm:sigmd5", hex.EncodeToString(b[:16]))
	}
	provides := h.strings(rpmProvideName)
	add(providesProperty, text(bytes.Join(provides, []byte("\n"))))
}

// sourceRPM takes "name-version-release.src.rpm" apart.
func sourceRPM(file string) seaworthy.Upstream {
	for _, suffix := range [...]string{".src.rpm", ".nosrc.rpm"} {
		base, ok := strings.CutSuffix(file, suffix)
		if !ok {
			continue
		}
		release := strings.LastIndexByte(base, '-')
		if release < 0 {
			return seaworthy.Upstream{}
		}
		version := strings.LastIndexByte(base[:release], '-')
		if version < 0 {
			return seaworthy.Upstream{}
		}
		return seaworthy.Upstream{Name: base[:version], Version: base[version+1:]}
	}
	return seaworthy.Upstream{}
}
