package packages

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
)

// zipOf makes a zip of name, content pairs; jars in it are stored, everything else is deflated.
func zipOf(pairs ...string) string {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		method := zip.Deflate
		if strings.HasSuffix(pairs[i], ".jar") {
			method = zip.Store
		}
		f, err := w.CreateHeader(&zip.FileHeader{Name: pairs[i], Method: method})
		if err != nil {
			panic(err)
		}
		f.Write([]byte(pairs[i+1]))
	}
	w.Close()
	return b.String()
}

func pomProperties(group, artifact, version string) (string, string) {
	return "META-INF/maven/" + group + "/" + artifact + "/pom.properties", "#made\r\ngroupId=" + group + "\r\nartifactId=" + artifact + "\r\nversion=" + version + "\r\n"
}

const corePom = `<?xml version="1.0"?><project><parent><groupId>org.x</groupId><version>1.5</version></parent><artifactId>core</artifactId>
<properties><dep.v>9</dep.v></properties><name>Core ${project.version}</name><url>https://x.org</url>
<licenses><license><name>Apache-2.0</name></license><license><name>MIT</name></license></licenses>
<dependencies><dependency><groupId>${project.groupId}</groupId><artifactId>lib</artifactId><version>${dep.v}</version></dependency>
<dependency><groupId>junit</groupId><artifactId>junit</artifactId><scope>test</scope></dependency></dependencies></project>`

func jarTree() map[string]string {
	coreDir := "META-INF/maven/org.x/core/"
	libName, libProps := pomProperties("org.x", "lib", "9")
	cglibName, cglibProps := pomProperties("cglib", "cglib", "3.2.12")
	core := zipOf("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\nImplementation-Vendor: X\r\n  Inc\r\n\r\nName: a\r\n", coreDir+"pom.xml", corePom)
	lib := zipOf(libName, libProps, cglibName, cglibProps)
	bundle := zipOf("META-INF/MANIFEST.MF", "Bundle-SymbolicName: com.google.inject;singleton:=true\nBundle-Version: 4.2.3\nBundle-Name: guice\n", cglibName, cglibProps)
	return map[string]string{
		"app/app.jar":       zipOf("META-INF/MANIFEST.MF", "Start-Class: a.B\nImplementation-Version: 1.2\n", "BOOT-INF/lib/core-1.5.jar", core, "BOOT-INF/lib/lib-9.jar", lib),
		"app/lib/guice.jar": bundle,
		"root/.m2/repository/org/z/thing/2.0/thing-2.0.jar": zipOf("a/b/C.class", "x"),
		"app/lib/plain-3.1.jar":                             zipOf("org/plain/a/C.class", "x", "org/plain/b/D.class", "y"),
		"app/lib/stub.jar":                                  "this is no archive, only named like one",
	}
}

func TestJar(t *testing.T) {
	j := installed(jar, jarTree())
	same(t, "packages", purlsAt(j), []string{
		"pkg:maven/app@1.2 app/app.jar",
		"pkg:maven/cglib/cglib@3.2.12 app/app.jar!BOOT-INF/lib/lib-9.jar",
		"pkg:maven/cglib/cglib@3.2.12 app/lib/guice.jar",
		"pkg:maven/com.google.inject/guice@4.2.3 app/lib/guice.jar",
		"pkg:maven/org.plain/plain@3.1 app/lib/plain-3.1.jar",
		"pkg:maven/org.x/core@1.5 app/app.jar!BOOT-INF/lib/core-1.5.jar",
		"pkg:maven/org.x/lib@9 app/app.jar!BOOT-INF/lib/lib-9.jar",
		"pkg:maven/org.z/thing@2.0 root/.m2/repository/org/z/thing/2.0/thing-2.0.jar",
	})
	same(t, "edges", edges(j), []string{
		"pkg:maven/app@1.2 contains pkg:maven/org.x/core@1.5",
		"pkg:maven/app@1.2 contains pkg:maven/org.x/lib@9",
		"pkg:maven/com.google.inject/guice@4.2.3 contains pkg:maven/cglib/cglib@3.2.12",
		"pkg:maven/org.x/core@1.5 dependsOn pkg:maven/org.x/lib@9",
		"pkg:maven/org.x/lib@9 contains pkg:maven/cglib/cglib@3.2.12",
	})
	core := one(t, j, "pkg:maven/org.x/core@1.5")
	if core.Name != "org.x:core" || core.Licences.Declared != "Apache-2.0 OR MIT" || core.Description != "Core 1.5" || core.Supplier.Name != "X Inc" ||
		len(core.Hashes) != 2 || core.Depends[0].Range != "9" || core.Depends[1].Scope != seaworthy.Test {
		t.Errorf("core: %+v", core)
	}
	if p := one(t, j, "pkg:maven/com.google.inject/guice@4.2.3"); p.Property(mavenGuess) != "Bundle-SymbolicName" {
		t.Errorf("guice: the guess is not marked: %+v", p)
	}
	if p := one(t, j, "pkg:maven/app@1.2"); p.Role != seaworthy.Application {
		t.Errorf("app: role %q", p.Role)
	}
	if len(j.Problems) != 0 {
		t.Errorf("problems: %+v", j.Problems)
	}
}

// TestJarContradictions changes one thing of a good archive each; every change must be named.
func TestJarContradictions(t *testing.T) {
	name, props := pomProperties("org.x", "lib", "9")
	good := zipOf(name, props)
	central := strings.Index(good, "PK\x01\x02")
	change := func(at int, b string) string { return good[:at] + b + good[at+len(b):] }
	prefixed := zipOf("hidden", "x")
	prefixed = prefixed[:strings.Index(prefixed, "PK\x01\x02")]
	for what, c := range map[string]struct{ archive, want string }{
		"good":                        {good, ""},
		"a launcher before it":        {"#!/bin/sh\nexec java\n" + good, ""},
		"another name":                {change(30, "META-INF/maven/org.y"), "the local header of the same entry"},
		"another method":              {change(8, "\x00\x00"), "packed by method 8"},
		"another size":                {change(central+24, "\x07\x00\x00\x00"), "not the 7 bytes"},
		"another checksum":            {change(central+16, "\x00\x00\x00\x00"), "CRC-32"},
		"no local header":             {change(0, "XX"), "there is no local header"},
		"an entry only locally":       {prefixed + good, `a local header names "hidden"`},
		"more entries than there are": {change(len(good)-12, "\x09\x00"), "ends after 1 of 9 entries"},
		"cut short":                   {good[:len(good)-30], "no end record"},
	} {
		j := installed(jar, map[string]string{"a/lib-9.jar": c.archive})
		var text string
		for _, p := range j.Problems {
			text += p.Where + ": " + p.Detail + "\n"
		}
		switch {
		case c.want == "" && text != "":
			t.Errorf("%s: %s", what, text)
		case !strings.Contains(text, c.want), c.want != "" && !strings.Contains(text, "a/lib-9.jar"):
			t.Errorf("%s: problems %q, want one that says %q", what, text, c.want)
		}
	}
}

func TestJarBombs(t *testing.T) {
	deep := zipOf("a", "b")
	for i := range 20 {
		deep = zipOf("n"+strconv.Itoa(i)+".jar", deep)
	}
	j := installed(jar, map[string]string{"deep.jar": deep})
	if len(j.Packages) != maxJarDepth || len(j.Problems) != 1 || !strings.Contains(j.Problems[0].Where, "!n12.jar") {
		t.Errorf("20 deep: %d packages, problems %+v", len(j.Packages), j.Problems)
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, _ := w.Create("lib/zeros.jar")
	f.Write(make([]byte, 8<<20))
	w.Close()
	j = installed(jar, map[string]string{"zeros.jar": b.String()})
	if len(j.Problems) != 1 || j.Problems[0].Code != seaworthy.TooLarge || !strings.Contains(j.Problems[0].Where, "lib/zeros.jar") {
		t.Errorf("8 MiB of zeros: problems %+v", j.Problems)
	}
	// A directory of 600,000 entries that all are the same one.
	var many bytes.Buffer
	many.WriteString(zipOf("a", "b"))
	end := bytes.LastIndex(many.Bytes(), []byte("PK\x05\x06"))
	record := bytes.Clone(many.Bytes()[end:])
	many.Truncate(end)
	record64 := make([]byte, 56+20)
	copy(record64, "PK\x06\x06")
	binary.LittleEndian.PutUint64(record64[32:], 600_000)
	copy(record64[56:], "PK\x06\x07")
	binary.LittleEndian.PutUint64(record64[56+8:], uint64(end))
	copy(record[10:], "\xff\xff")
	many.Write(record64)
	many.Write(record)
	j = installed(jar, map[string]string{"many.jar": many.String()})
	if len(j.Problems) != 1 || j.Problems[0].Code != seaworthy.TooLarge {
		t.Errorf("600,000 entries: problems %+v", j.Problems)
	}
}

// TestJarNames holds names that say little.
func TestJarNames(t *testing.T) {
	empty := zipOf("a", "b")
	for where, want := range map[string]string{
		"x/.jar": ".jar", "x/-1.jar": "-1", "x/a-b.jar": "a-b", "x/a-1.0-rc1.jar": "a", "x/a.war": "a",
	} {
		j := installed(jar, map[string]string{where: empty})
		if len(j.Packages) != 1 || j.Packages[0].Name != want {
			t.Errorf("%s: %+v, want the name %q", where, j.Packages, want)
		}
	}
}

func FuzzJar(f *testing.F) {
	var seeds []string
	for _, s := range jarTree() {
		seeds = append(seeds, s)
	}
	fuzzRead(f, jar, []string{"app/x-1.jar"}, seeds...)
}

func FuzzPom(f *testing.F) {
	f.Add([]byte(corePom))
	f.Add([]byte(`<project><version>${a}</version><properties><a>${b}</a><b>${a}</b></properties></project>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p := pom{dir: "META-INF/maven/g/a"}
		p.properties(b)
		_ = p.xml(b)
		var to seaworthy.Package
		p.describe(&to)
		readManifest(b)
	})
}
