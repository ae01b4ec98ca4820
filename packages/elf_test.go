package packages

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
)

// elfWith makes a 64-bit ELF file with one named section, padded to a size.
func elfWith(section string, content []byte, size int) string {
	names := "\x00" + section + "\x00.shstrtab\x00"
	at := max(64, size)
	at += -at & 15
	body := append(make([]byte, at), content...)
	namesAt := len(body)
	body = append(body, names...)
	table := len(body)
	header := func(name, off, n int) []byte {
		h := make([]byte, 64)
		binary.LittleEndian.PutUint32(h, uint32(name))
		binary.LittleEndian.PutUint64(h[24:], uint64(off))
		binary.LittleEndian.PutUint64(h[32:], uint64(n))
		return h
	}
	body = append(body, make([]byte, 64)...)
	body = append(body, header(1, at, len(content))...)
	body = append(body, header(2+len(section), namesAt, len(names))...)
	copy(body, "\x7fELF\x02\x01\x01")
	binary.LittleEndian.PutUint64(body[0x28:], uint64(table))
	binary.LittleEndian.PutUint16(body[0x3a:], 64)
	binary.LittleEndian.PutUint16(body[0x3c:], 3)
	binary.LittleEndian.PutUint16(body[0x3e:], 2)
	return string(body)
}

func goInfoOf(version, modules string) []byte {
	b := append([]byte(goMark), 8, goInline)
	b = append(b, make([]byte, goHeaderSize-len(b))...)
	modules = strings.Repeat("<", 16) + modules + strings.Repeat(">", 16)
	b = append(binary.AppendUvarint(b, uint64(len(version))), version...)
	return append(binary.AppendUvarint(b, uint64(len(modules))), modules...)
}

const goModules = "path\texample.org/app\nmod\texample.org/app\t(devel)\t\n" +
	"dep\tgithub.com/a/b\tv1.2.3\th1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n" +
	"dep\tgithub.com/old/x\tv0.1.0\n=>\tgithub.com/new/x\tv0.2.0\th1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n" +
	"dep\texample.org/local\tv0.0.0\n=>\t./local\t\t\n" +
	"build\t-ldflags=\"-s -X main.token=hunter2\"\nbuild\tGOOS=linux\nbuild\tCGO_CFLAGS=-I/home/ann\nbuild\tvcs.revision=abc\n"

const rustList0 = `{"packages":[{"name":"serde","version":"1.0.1","source":"crates.io","dependencies":[2]},` +
	`{"name":"tool","version":"0.1.0","source":"local","dependencies":[0,99,1],"root":true},{"name":"cc","version":"1.1.0","source":"crates.io","kind":"build"}]}`

func deflated(s string) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	w.Write([]byte(s))
	w.Close()
	return b.Bytes()
}

// TestBinaries reads each program twice: as a small file, by its sections, and padded to more than is held in
// memory, as a stream.
func TestBinaries(t *testing.T) {
	for _, size := range []int{minBinary, maxBinaryInMemory + 5<<20} {
		j := installed(binaries, map[string]string{
			"usr/bin/app":  elfWith(".go.buildinfo", goInfoOf("go1.26.1 X:none", goModules), size),
			"usr/bin/app2": elfWith(".go.buildinfo", goInfoOf("go1.26.1", goModules), minBinary),
			"usr/bin/tool": elfWith(".dep-v0", deflated(rustList0), size),
			"usr/bin/sh":   "#!/bin/sh\n" + strings.Repeat("#", minBinary),
			"usr/lib/x.so": elfWith(".go.buildinfo", goInfoOf("go1.26.1", goModules), minBinary),
			"usr/bin/c":    elfWith(".text", []byte("x"), minBinary),
		})
		same(t, "packages", purlsAt(j), []string{
			"pkg:cargo/cc@1.1.0 usr/bin/tool",
			"pkg:cargo/serde@1.0.1 usr/bin/tool",
			"pkg:cargo/tool@0.1.0 usr/bin/tool",
			"pkg:golang/example.org/app usr/bin/app",
			"pkg:golang/example.org/app usr/bin/app2",
			"pkg:golang/example.org/local@v0.0.0 usr/bin/app",
			"pkg:golang/github.com/a/b@v1.2.3 usr/bin/app",
			"pkg:golang/github.com/new/x@v0.2.0 usr/bin/app",
			"pkg:golang/stdlib@1.26.1 usr/bin/app",
		})
		if len(j.Relations) != 2*4+2 || len(j.Problems) != 0 {
			t.Errorf("relations %v, problems %+v", edges(j), j.Problems)
		}
		app := one(t, j, "pkg:golang/example.org/app")
		if app.Role != seaworthy.Application || app.Version != "(devel)" || app.Property("go:vcs.revision") != "abc" || len(app.Hashes) != 0 ||
			app.Property("go:-ldflags") != "-s -X main.token=…" || app.Property("go:CGO_CFLAGS") != "" {
			t.Errorf("app: %+v", app)
		}
		b := one(t, j, "pkg:golang/github.com/a/b@v1.2.3")
		if len(b.Evidence) != 2 || b.HashOf != seaworthy.HashOfModule || b.Hashes[0] != seaworthy.SHA256(nil) {
			t.Errorf("b: %+v", b)
		}
		if cc := one(t, j, "pkg:cargo/cc@1.1.0"); cc.Scope != seaworthy.Build {
			t.Errorf("cc: %+v", cc)
		}
	}
}

// TestBinariesSelf reads this very test program and compares with the list the runtime has of it.
func TestBinariesSelf(t *testing.T) {
	self, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Skipf("cannot read the test program: %v", err)
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		t.Skip("the test program carries no build information")
	}
	j := installed(binaries, map[string]string{"self": string(self)})
	if len(j.Packages) != len(info.Deps)+2 || len(j.Problems) != 0 {
		t.Errorf("%d packages, it links %d modules; problems %+v", len(j.Packages), len(info.Deps), j.Problems)
	}
	one(t, j, "pkg:golang/stdlib@"+strings.TrimPrefix(strings.Fields(runtime.Version())[0], "go"))
}

// TestBinariesOtherFormats reads PE and Mach-O files.
func TestBinariesOtherFormats(t *testing.T) {
	list := deflated(rustList0)
	pe := make([]byte, minBinary)
	copy(pe, "MZ")
	pe[0x3c] = 0x80
	copy(pe[0x80:], "PE\x00\x00")
	pe[0x80+6] = 1 // sections
	section := pe[0x80+24:]
	copy(section, ".dep-v0")
	binary.LittleEndian.PutUint32(section[8:], uint32(len(list)))
	binary.LittleEndian.PutUint32(section[16:], 512)
	binary.LittleEndian.PutUint32(section[20:], 1024)
	copy(pe[1024:], list)
	macho := make([]byte, minBinary)
	copy(macho, "\xcf\xfa\xed\xfe")
	macho[16] = 1 // load commands
	command := macho[32:]
	command[0], command[4] = 0x19, 72+80
	copy(command[72:], ".dep-v0")
	binary.LittleEndian.PutUint64(command[72+40:], uint64(len(list)))
	binary.LittleEndian.PutUint32(command[72+48:], 1024)
	copy(macho[1024:], list)
	fat := make([]byte, 4096)
	copy(fat, "\xca\xfe\xba\xbe\x00\x00\x00\x01")
	binary.BigEndian.PutUint32(fat[8+8:], 4096)
	binary.BigEndian.PutUint32(fat[8+12:], uint32(len(macho)))
	fat = append(fat, macho...)
	constant := make([]byte, 4096) // a program that knows the mark, as those that read build information do
	copy(constant, "MZ")
	copy(constant[1024:], goMark)
	for name, c := range map[string]struct {
		b    []byte
		want int
	}{
		"rust.exe": {pe, 3}, "rust-macho": {macho, 3}, "rust-fat": {fat, 3},
		"go.exe":      {append(constant, goInfoOf("go1.26.1", goModules)...), 5},
		"constant":    {append(constant, make([]byte, 8192)...), 0},
		"class.class": {append([]byte("\xca\xfe\xba\xbe\x00\x00\x00\x41"), make([]byte, 8192)...), 0},
	} {
		padded := string(c.b) + strings.Repeat("\x00", max(0, minBinary-len(c.b)))
		if j := installed(binaries, map[string]string{name: padded}); len(j.Packages) != c.want || len(j.Problems) != 0 {
			t.Errorf("%s: %d packages, want %d; problems %+v", name, len(j.Packages), c.want, j.Problems)
		}
	}
}

func TestBinariesBad(t *testing.T) {
	bomb := deflated(strings.Repeat(" ", maxRustList+1))
	j := installed(binaries, map[string]string{
		"bomb":   elfWith(".dep-v0", bomb, minBinary),
		"broken": elfWith(".dep-v0", []byte("no zlib"), minBinary),
		"cut":    elfWith(".dep-v0", deflated(rustList0)[:40], minBinary),
	})
	codes := map[string]seaworthy.Code{}
	for _, p := range j.Problems {
		codes[p.Where] = p.Code
	}
	if len(j.Packages) != 0 || codes["bomb"] != seaworthy.TooLarge || codes["broken"] != seaworthy.Invalid || codes["cut"] != seaworthy.Invalid {
		t.Errorf("packages %v, problems %+v", purlsAt(j), j.Problems)
	}
}

// TestGoModuleWithoutName is what fuzzing found: a damaged list of modules gave a package that has no name.
func TestGoModuleWithoutName(t *testing.T) {
	for _, modules := range []string{"dep\t\tv1.0.0\t\n", "dep\t\tv1.0.0\t\n=>\t./x\t\t\n", "dep\ta\tv1.0.0\t\n=>\t\tv2.0.0\th1:x\n"} {
		for _, p := range installed(binaries, map[string]string{"x": elfWith(".go.buildinfo", goInfoOf("go1.26.1", "path\ta\nmod\ta\t(devel)\t\n"+modules), minBinary)}).Packages {
			if p.Name == "" {
				t.Errorf("%q gives %+v", modules, p)
			}
		}
	}
}

func FuzzBinary(f *testing.F) {
	fuzzRead(f, binaries, []string{"usr/bin/x"},
		elfWith(".go.buildinfo", goInfoOf("go1.26.1", goModules), 64), elfWith(".dep-v0", deflated(rustList0), 64),
		"MZ", "\xcf\xfa\xed\xfe", "\xca\xfe\xba\xbe\x00\x00\x00\x01")
}

func FuzzSearchBinary(f *testing.F) {
	f.Add(goInfoOf("go1.26.1", goModules))
	f.Add(deflated(rustList0))
	f.Fuzz(func(t *testing.T, b []byte) {
		facts, err := searchBinary(&File{Path: "x", Size: int64(len(b)), Body: bytes.NewReader(b)})
		if err != nil && len(facts.Packages) > 0 {
			t.Fatal("both an error and packages")
		}
		redactLinkerFlags(string(b))
	})
}
