package packages

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	rpmdb "github.com/anchore/go-rpmdb/pkg"
	_ "modernc.org/sqlite"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/licence"
)

// rpmDatabases finds the real databases in the source of go-rpmdb.
func rpmDatabases(t testing.TB) []string {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/anchore/go-rpmdb").Output()
	if err != nil || len(bytes.TrimSpace(dir)) == 0 {
		t.Skipf("SKIPPED: the source of github.com/anchore/go-rpmdb, with real databases, is not in the module cache: %v", err)
	}
	root := filepath.Join(strings.TrimSpace(string(dir)), "pkg", "testdata")
	var out []string
	for _, pattern := range []string{"*/Packages", "*/Packages.db", "*/rpmdb.sqlite"} {
		found, _ := filepath.Glob(filepath.Join(root, pattern))
		out = append(out, found...)
	}
	if len(out) < 10 {
		t.Skipf("SKIPPED: only %d databases in %s", len(out), root)
	}
	return out
}

func rpmFacts(t testing.TB, path string) (Facts, error) {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := rpm.Read(&File{Path: "var/lib/rpm/" + filepath.Base(path), Size: int64(len(body)), Body: bytes.NewReader(body)})
	facts.By, facts.Path = "rpm", "var/lib/rpm/"+filepath.Base(path)
	return facts, err
}

// TestRPMDatabases compares every real database with what go-rpmdb reads.
func TestRPMDatabases(t *testing.T) {
	for _, path := range rpmDatabases(t) {
		name := filepath.Base(filepath.Dir(path))
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != "libuuid" && name != "sle15-bci" && name != "fedora35" {
				t.Skip("SKIPPED: -short reads one database of each kind")
			}
			facts, err := rpmFacts(t, path)
			if err != nil {
				t.Fatal(err)
			}
			db, err := rpmdb.Open(path)
			if err != nil {
				t.Skipf("SKIPPED: go-rpmdb does not open it: %v", err)
			}
			defer db.Close()
			list, err := db.ListPackages()
			if err != nil {
				t.Fatal(err)
			}
			var want, got []string
			for _, p := range list {
				if p.Name != "gpg-pubkey" {
					want = append(want, oracleLine(t, p))
				}
			}
			for i := range facts.Packages {
				got = append(got, packageLine(&facts.Packages[i]))
			}
			slices.Sort(want)
			slices.Sort(got)
			if len(got) != len(want) {
				t.Fatalf("%d packages, want %d", len(got), len(want))
			}
			for i := range got {
				if got[i] != want[i] {
					t.Fatalf("package %d is\n%.2000s\nwant\n%.2000s", i, got[i], want[i])
				}
			}
			inv := Join([]Facts{facts})
			edges := 0
			for _, r := range inv.Relations {
				if r.Type == seaworthy.DependsOn {
					edges++
				}
			}
			if len(inv.Packages) == 0 || len(list) > 50 && edges < len(list) {
				t.Errorf("%d packages and %d edges after Join, of %d packages", len(inv.Packages), edges, len(list))
			}
		})
	}
}

func oracleLine(t *testing.T, p *rpmdb.PackageInfo) string {
	version := p.Version + "-" + p.Release
	if p.Epoch != nil {
		version = strconv.Itoa(*p.Epoch) + ":" + version
	}
	parts := []string{p.Name, version, p.Arch, licence.Normalise(p.License), p.Summary, p.Modularitylabel}
	if s := sourceRPM(p.SourceRpm); s.Name != "" {
		parts = append(parts, s.Name+"-"+s.Version)
	} else {
		parts = append(parts, "")
	}
	files, err := p.InstalledFiles()
	if err != nil {
		t.Fatal(err)
	}
	var owned []seaworthy.OwnedFile
	for _, f := range files {
		if f.Mode&0xf000 == 0x4000 {
			continue
		}
		digest := ""
		if f.Digest != "" {
			digest = p.DigestAlgorithm.String() + ":" + f.Digest
			if p.DigestAlgorithm == 0 { // not said: rpm's first, MD5
				digest = "md5:" + f.Digest
			}
		}
		owned = append(owned, seaworthy.OwnedFile{Path: strings.TrimLeft(f.Path, "/"), Digest: seaworthy.Digest(digest)})
	}
	for _, f := range sortFiles(owned) {
		parts = append(parts, f.Path+" "+string(f.Digest))
	}
	return strings.Join(parts, "\n")
}

func packageLine(p *seaworthy.Package) string {
	source := ""
	if p.Source.Name != "" {
		source = p.Source.Name + "-" + p.Source.Version
	}
	parts := []string{p.Name, p.Version, p.Arch, p.Licences.Declared, p.Description, p.Property("rpm:modularitylabel"), source}
	for _, f := range p.Files {
		parts = append(parts, f.Path+" "+string(f.Digest))
	}
	return strings.Join(parts, "\n")
}

func TestRPMPURL(t *testing.T) {
	p := seaworthy.Package{Ecosystem: "rpm", Name: "bash", Version: "2:5.1.8-2.fc35", Arch: "x86_64", Source: sourceRPM("bash-5.1.8-2.fc35.src.rpm")}
	inv := Join([]Facts{
		{By: "rpm", Path: "var/lib/rpm/rpmdb.sqlite", Packages: []seaworthy.Package{p}},
		{By: "os-release", Path: "etc/os-release", Release: &OSRelease{ID: "fedora", VersionID: "35"}},
	})
	want := "pkg:rpm/fedora/bash@5.1.8-2.fc35?arch=x86_64&distro=fedora-35&epoch=2&upstream=bash-5.1.8-2.fc35.src.rpm"
	if len(inv.Packages) != 1 || inv.Packages[0].PURL != want {
		t.Errorf("got %+v, want %s", inv.Packages, want)
	}
}

// TestRPMDamaged cuts and twists small real databases everywhere: packages or a typed error, never a panic,
// and in time.
func TestRPMDamaged(t *testing.T) {
	for _, path := range rpmDatabases(t) {
		switch filepath.Base(filepath.Dir(path)) {
		case "libuuid", "sle15-bci", "cbl-mariner-2.0":
		default:
			continue
		}
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := parseRPMDB(body)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{4, 16, 31, 64, 99, 100, 511, 4096, 8191, len(body) / 3, len(body) / 2} {
			some, err := parseRPMDB(body[:n])
			if len(some) == len(whole) && err == nil {
				t.Errorf("%s cut to %d bytes gives all %d packages and no error", path, n, len(some))
			}
			if err != nil && seaworthy.CodeOf(err) != seaworthy.Invalid {
				t.Errorf("code %s, want invalid: %v", seaworthy.CodeOf(err), err)
			}
		}
		bent := bytes.Clone(body)
		for i := 0; i < len(bent); i += 997 {
			bent[i] ^= 0x55
		}
		parseRPMDB(bent)
	}
}

func TestRPMLoops(t *testing.T) {
	const page = 512
	// Berkeley DB: two values on the same overflow page, which goes on at itself.
	db := make([]byte, 3*page)
	le := binary.LittleEndian
	le.PutUint32(db[12:], bdbHashMagic)
	le.PutUint32(db[20:], page)
	le.PutUint32(db[32:], 2)
	hash := db[page:]
	le.PutUint16(hash[20:], 2)
	hash[25] = bdbHashSorted
	le.PutUint16(hash[26:], 400)
	le.PutUint16(hash[28:], 300)
	hash[300] = bdbOffPage
	le.PutUint32(hash[304:], 2)
	le.PutUint32(hash[308:], 1000)
	over := db[2*page:]
	over[25] = bdbOverflow
	le.PutUint32(over[16:], 2)
	le.PutUint16(over[22:], 100)
	if _, err := parseRPMDB(db); err == nil || !strings.Contains(err.Error(), "belongs to two values") {
		t.Errorf("overflow loop: %v", err)
	}
	// SQLite: an interior page that is its own child.
	lite := make([]byte, page)
	copy(lite, sqliteMagic)
	binary.BigEndian.PutUint16(lite[16:], page)
	lite[sqliteHeaderSize] = sqliteInterior
	binary.BigEndian.PutUint32(lite[sqliteHeaderSize+8:], 1)
	if _, err := parseRPMDB(lite); err == nil || !strings.Contains(err.Error(), "used twice") {
		t.Errorf("b-tree loop: %v", err)
	}
}

func FuzzRPMDB(f *testing.F) {
	f.Add([]byte(sqliteMagic))
	f.Add([]byte(ndbMagic))
	db := make([]byte, 1024)
	binary.LittleEndian.PutUint32(db[12:], bdbHashMagic)
	binary.LittleEndian.PutUint32(db[20:], 512)
	f.Add(db)
	if out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/anchore/go-rpmdb").Output(); err == nil {
		if b, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "pkg/testdata/libuuid/Packages")); err == nil {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		packages, _ := parseRPMDB(body)
		for _, p := range packages {
			if p.Name == "" || p.Version == "" {
				t.Fatalf("a package without name or version: %+v", p)
			}
		}
	})
}

func FuzzRPMHeader(f *testing.F) {
	blob := []byte{0, 0, 0, 2, 0, 0, 0, 8}
	blob = append(blob, 0, 0, 3, 0xe8, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 3, 0xe9, 0, 0, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1)
	f.Add(append(blob, "abc\x001.0\x00"...))
	f.Fuzz(func(t *testing.T, body []byte) { parseRPMHeader(body) })
}

// TestRPMOverlap has thousands of cells that are all the same bytes: the work must stay that of the file's size.
func TestRPMOverlap(t *testing.T) {
	const page = 64 << 10
	be := binary.BigEndian
	lite := make([]byte, 2*page)
	copy(lite, sqliteMagic)
	be.PutUint16(lite[16:], 1)
	head := lite[sqliteHeaderSize:]
	head[0] = sqliteLeaf
	be.PutUint16(head[3:], 1)
	be.PutUint16(head[8:], 1000)
	copy(lite[1000:], "\x13\x01\x05\x17\x1d\x00\x01tablePackages\x02") // type, name, no tbl_name, root page 2
	leaf := lite[page:]
	leaf[0] = sqliteLeaf
	be.PutUint16(leaf[3:], 16000)
	for i := range 16000 {
		be.PutUint16(leaf[8+2*i:], 40000)
	}
	copy(leaf[40000:], []byte{0x81, 0x9c, 0x20, 1, 5, 0, 0x82, 0xb8, 0x42}) // 20,000 bytes, mostly a blob
	blobs := 0
	err := sqliteBlobs(lite, "Packages", func([]byte) { blobs++ })
	if err == nil || !strings.Contains(err.Error(), "overlap") || blobs == 0 || blobs > 4 {
		t.Errorf("%d blobs, error %v", blobs, err)
	}
}
