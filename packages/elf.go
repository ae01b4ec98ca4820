package packages

import (
	"bytes"
	"encoding/binary"
	"io"
	"io/fs"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// binary recognises executables that carry the list of what they were built from: Go's build information
// (debug/buildinfo) and cargo-auditable's .dep-v0 section for Rust. It reads ELF, PE and Mach-O.
//
// Most files with an execute bit are scripts or C programs: the former cost a read of four bytes, the latter a
// look at their section names.
var binaries = Recogniser{
	Name:    "binary",
	Version: 1,
	Wants: func(p string, size int64, mode fs.FileMode) bool {
		if size < minBinary {
			return false
		}
		if strings.HasSuffix(p, ".exe") {
			return true
		}
		if mode&0o111 == 0 {
			return false
		}
		base := p[strings.LastIndexByte(p, '/')+1:]
		return !strings.HasSuffix(base, ".so") && !strings.Contains(base, ".so.")
	},
	Read: readBinary,
	Join: joinBinaries,
}

const (
	// minBinary is the smallest executable worth a look: 8 KiB. The smallest Rust program is near 300 kB.
	minBinary = 8 << 10
	// maxBinaryInMemory is the largest executable that is held in memory: 16 MiB. Larger ones are searched in
	// a window of binaryWindow bytes as they pass.
	maxBinaryInMemory = 16 << 20
	// binaryWindow is how much of a large executable is in memory at a time: 1 MiB. A module list that is
	// longer is not read; Kubernetes' own are below 64 KiB.
	binaryWindow = 1 << 20
	// maxSections is how many sections of one executable are looked at; ELF's own common limit.
	maxSections = 1 << 16
	// maxFatArchs is how many architectures of a universal Mach-O file are looked at.
	maxFatArchs = 16
)

// binaryFormat is the container an executable comes in.
type binaryFormat uint8

const (
	notBinary binaryFormat = iota
	elfBinary
	peBinary
	machoBinary
	fatBinary
)

func sniffBinary(magic []byte) binaryFormat {
	if len(magic) < 4 {
		return notBinary
	}
	switch {
	case string(magic[:4]) == "\x7fELF":
		return elfBinary
	case magic[0] == 'M' && magic[1] == 'Z':
		return peBinary
	}
	switch binary.BigEndian.Uint32(magic) {
	case 0xfeedface, 0xfeedfacf, 0xcefaedfe, 0xcffaedfe:
		return machoBinary
	case 0xcafebabe: // Java classes begin so as well; their next word is not a small number
		return fatBinary
	}
	return notBinary
}

func readBinary(f *File) (Facts, error) {
	magic := make([]byte, 4)
	if _, err := io.ReadFull(f.Body, magic); err != nil {
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return Facts{}, nil
		}
		return Facts{}, err
	}
	format := sniffBinary(magic)
	if format == notBinary {
		return Facts{}, nil
	}
	f.Body = io.MultiReader(bytes.NewReader(magic), f.Body)
	if f.Size > maxBinaryInMemory || f.Max > 0 && f.Size > f.Max {
		return searchBinary(f)
	}
	b, err := f.Bytes()
	if err != nil {
		return Facts{}, err
	}
	for _, image := range binaryImages(format, b) {
		facts, err := readImage(f.Path, image)
		if err != nil || len(facts.Packages) > 0 {
			return facts, err
		}
	}
	return Facts{}, nil
}

// binaryImages returns the executables in b: b itself, or each architecture of a universal file.
func binaryImages(format binaryFormat, b []byte) [][]byte {
	if format != fatBinary {
		return [][]byte{b}
	}
	if len(b) < 8 {
		return nil
	}
	n := binary.BigEndian.Uint32(b[4:])
	if n > maxFatArchs {
		return nil
	}
	var images [][]byte
	for i := range int(n) {
		arch := part(b, 8+20*uint64(i), 20)
		if arch == nil {
			break
		}
		if image := part(b, uint64(binary.BigEndian.Uint32(arch[8:])), uint64(binary.BigEndian.Uint32(arch[12:]))); image != nil {
			images = append(images, image)
		}
	}
	return images
}

// readImage reads one executable that is in memory as a whole.
func readImage(p string, b []byte) (Facts, error) {
	goInfo, rustInfo := binarySections(b)
	switch {
	case goInfo != nil:
		return readGoBinary(p, b, goInfo)
	case rustInfo != nil:
		return readRustBinary(p, rustInfo)
	}
	return Facts{}, nil
}

// binarySections returns the content of the sections that hold Go's and Rust's lists; nil means there is none.
// For PE and Mach-O, where Go has no section of its own, Go's is the part of the file from its mark on.
func binarySections(b []byte) (goInfo, rustInfo []byte) {
	switch sniffBinary(b) {
	case elfBinary:
		return elfSections(b)
	case peBinary:
		rustInfo = peSection(b)
	case machoBinary:
		rustInfo = machoSection(b)
	default:
		return nil, nil
	}
	return firstGoInfo(b), rustInfo
}

// part returns b[off:off+n], or nil where b does not reach that far.
func part(b []byte, off, n uint64) []byte {
	if off > uint64(len(b)) || n > uint64(len(b))-off {
		return nil
	}
	return b[off : off+n]
}

// elfSections reads the section headers (System V ABI, "Sections") without making anything of them.
func elfSections(b []byte) (goInfo, rustInfo []byte) {
	if len(b) < 64 {
		return nil, nil
	}
	var order binary.ByteOrder = binary.LittleEndian
	if b[5] == 2 {
		order = binary.BigEndian
	}
	wide := b[4] == 2
	var table, entry, count, names uint64
	if wide {
		table, entry = order.Uint64(b[0x28:]), uint64(order.Uint16(b[0x3a:]))
		count, names = uint64(order.Uint16(b[0x3c:])), uint64(order.Uint16(b[0x3e:]))
	} else {
		table, entry = uint64(order.Uint32(b[0x20:])), uint64(order.Uint16(b[0x2e:]))
		count, names = uint64(order.Uint16(b[0x30:])), uint64(order.Uint16(b[0x32:]))
	}
	if wide && entry < 64 || !wide && entry < 40 {
		return nil, nil
	}
	// section gives the offset of a section's name and its place in the file.
	section := func(i uint64) (name uint32, off, size uint64, ok bool) {
		if i >= maxSections || table > uint64(len(b)) {
			return 0, 0, 0, false
		}
		h := part(b, table+i*entry, entry)
		if h == nil {
			return 0, 0, 0, false
		}
		if wide {
			return order.Uint32(h), order.Uint64(h[24:]), order.Uint64(h[32:]), true
		}
		return order.Uint32(h), uint64(order.Uint32(h[16:])), uint64(order.Uint32(h[20:])), true
	}
	if count == 0 { // more than 65,279: the count is the size of section 0
		_, _, count, _ = section(0)
	}
	_, off, size, ok := section(names)
	if !ok {
		return nil, nil
	}
	table0 := part(b, off, size)
	for i := range min(count, maxSections) {
		name, off, size, ok := section(i)
		if !ok {
			break
		}
		if uint64(name) >= uint64(len(table0)) {
			continue
		}
		switch s := table0[name:]; {
		case bytes.HasPrefix(s, []byte(".go.buildinfo\x00")):
			goInfo = part(b, off, size)
		case bytes.HasPrefix(s, []byte(".dep-v0\x00")), bytes.HasPrefix(s, []byte(".rust-deps-v0\x00")):
			rustInfo = part(b, off, size)
		}
	}
	return goInfo, rustInfo
}

// peSection returns the content of the Rust section of a PE file (Microsoft PE/COFF specification, "Section
// Table").
func peSection(b []byte) []byte {
	dos := part(b, 0x3c, 4)
	if dos == nil {
		return nil
	}
	at := uint64(binary.LittleEndian.Uint32(dos))
	header := part(b, at, 24)
	if header == nil || string(header[:4]) != "PE\x00\x00" {
		return nil
	}
	count := uint64(binary.LittleEndian.Uint16(header[6:]))
	table := at + 24 + uint64(binary.LittleEndian.Uint16(header[20:]))
	for i := range count {
		s := part(b, table+40*i, 40)
		if s == nil {
			return nil
		}
		if string(s[:8]) == ".dep-v0\x00" || string(s[:8]) == "rdep-v0\x00" {
			size := binary.LittleEndian.Uint32(s[16:])
			if virtual := binary.LittleEndian.Uint32(s[8:]); virtual > 0 && virtual < size {
				size = virtual // the rest is padding
			}
			return part(b, uint64(binary.LittleEndian.Uint32(s[20:])), uint64(size))
		}
	}
	return nil
}

// machoSection returns the content of the Rust section of a Mach-O file (mach-o/loader.h).
func machoSection(b []byte) []byte {
	if len(b) < 32 {
		return nil
	}
	var order binary.ByteOrder = binary.LittleEndian
	if b[0] == 0xfe {
		order = binary.BigEndian
	}
	wide := order.Uint32(b)&1 == 1
	at, segment, segmentSize, sectionSize := uint64(28), uint32(1), uint64(56), uint64(68)
	if wide {
		at, segment, segmentSize, sectionSize = 32, 0x19, 72, 80
	}
	left := maxSections
	for range min(order.Uint32(b[16:]), maxSections) {
		command := part(b, at, 8)
		if command == nil {
			return nil
		}
		size := uint64(order.Uint32(command[4:]))
		if size < 8 {
			return nil
		}
		if body := part(b, at, size); body != nil && order.Uint32(body) == segment && size >= segmentSize {
			for s := body[segmentSize:]; uint64(len(s)) >= sectionSize && left > 0; s = s[sectionSize:] {
				left--
				if name := s[:16]; !bytes.HasPrefix(name, []byte(".dep-v0\x00")) && !bytes.HasPrefix(name, []byte("rust-deps-v0\x00")) {
					continue
				}
				if wide {
					return part(b, uint64(order.Uint32(s[48:])), order.Uint64(s[40:]))
				}
				return part(b, uint64(order.Uint32(s[40:])), uint64(order.Uint32(s[36:])))
			}
		}
		at += size
	}
	return nil
}

// joinBinaries gives every program its own package. Go modules are the same in every program that has them, so
// there is one package for each with all programs as evidence; crates may depend on other versions in another
// program, so theirs stay apart.
func joinBinaries(_ Context, all []Facts) Joined {
	var j Joined
	shared := map[string]int{} // Ref → index in j.Packages
	for i := range all {
		facts := &all[i]
		j.Problems = append(j.Problems, facts.Problems...)
		refs := make(map[string]string, len(facts.Packages)) // Ref within the file → Ref within the bill
		for k := range facts.Packages {
			p := facts.Packages[k]
			local := p.Ref
			evidence := seaworthy.Evidence{Path: facts.Path, By: "binary"}
			id := p.PURL
			if id == "" {
				id = p.Ecosystem + ":" + p.Name
			}
			p.Ref = placedRef(id, facts.Path)
			if p.Ecosystem == "golang" && p.Role != seaworthy.Application {
				p.Ref = id
				if len(p.Hashes) > 0 {
					p.Ref = placedRef(id, string(p.Hashes[0])) // a replaced or altered module is another one
				}
				if have, ok := shared[p.Ref]; ok {
					j.Packages[have].Evidence = append(j.Packages[have].Evidence, evidence)
					j.Packages[have].Direct = j.Packages[have].Direct || p.Direct
					refs[local] = p.Ref
					continue
				}
				shared[p.Ref] = len(j.Packages)
			}
			p.Evidence = []seaworthy.Evidence{evidence}
			refs[local] = p.Ref
			j.Packages = append(j.Packages, p)
		}
		for _, r := range facts.Relations {
			if from, to := refs[r.From], refs[r.To]; from != "" && to != "" && from != to {
				j.Relations = append(j.Relations, seaworthy.Relation{From: from, Type: r.Type, To: to, Scope: r.Scope})
			}
		}
	}
	sortRelations(j.Relations)
	return j
}
