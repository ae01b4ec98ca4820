package advisory

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
)

// fuzzSeed is a small database with something in every section.
func fuzzSeed(t testing.TB) []byte {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.json":    `{"id":"GHSA-a","aliases":["CVE-2024-1111"],"affected":[{"package":{"ecosystem":"Go","name":"m"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.0.0"}]}],"versions":["0.1.0"]}],"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],"references":[{"type":"WEB","url":"u"}]}`,
		"kev.json":  `{"title":"t","vulnerabilities":[{"cveID":"CVE-2024-1111","dateAdded":"2024-04-04"}]}`,
		"epss.csv":  "cve,epss,percentile\nCVE-2024-1111,0.5,0.5\n",
		"GO-1.json": `{"id":"GO-1","aliases":["CVE-2024-1","CVE-2024-2"],"affected":[{"package":{"ecosystem":"Go","name":"m"}}]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "a.db")
	if _, err := Build(context.Background(), []Input{{Path: dir, Name: "s"}}, file, BuildOptions{}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// reseal makes all checksums right again, so that fuzzing gets behind them.
func reseal(b []byte) {
	if len(b) < HeaderBytes {
		return
	}
	le := binary.LittleEndian
	size := uint64(len(b))
	// As large a body as fits before its own block table.
	end := size
	for end >= HeaderBytes && end+4*blockCount(end) > size {
		end--
	}
	if end < HeaderBytes || end+4*blockCount(end) != size {
		return
	}
	for i := range blockCount(end) {
		start := HeaderBytes + i*BlockBytes
		le.PutUint32(b[end+4*i:], crc32.Checksum(b[start:min(start+BlockBytes, end)], castagnoli))
	}
	copy(b, magic)
	le.PutUint32(b[8:], formatVersion)
	le.PutUint32(b[12:], sections)
	le.PutUint64(b[16:], size)
	le.PutUint64(b[24:], end)
	le.PutUint32(b[32:], crc32.Checksum(b[end:], castagnoli))
	le.PutUint32(b[HeaderBytes-4:], crc32.Checksum(b[:HeaderBytes-4], castagnoli))
}

// ask calls everything a reader can call.
func ask(t *testing.T, db *DB) {
	check := func(err error) {
		if err != nil && seaworthy.CodeOf(err) == seaworthy.Internal {
			t.Errorf("untyped error %v", err)
		}
	}
	list, err := db.Lookup("Go", "m")
	check(err)
	for i := range list {
		check(list[i].EachVersion(func([]byte) bool { return true }))
		_, err := db.Record(list[i].Record)
		check(err)
		g, err := db.GroupOf(list[i].Record)
		check(err)
		_, err = db.Group(g)
		check(err)
	}
	for _, id := range []string{"CVE-2024-1111", "GHSA-a", "GO-1", "CVE-2024-1"} {
		_, err := db.Advisory(id)
		check(err)
	}
	for i := range min(db.Records(), 64) {
		_, err := db.Record(i)
		check(err)
	}
	_, err = db.KEV("CVE-2024-1111")
	check(err)
	_, err = db.EPSS("CVE-2024-1111")
	check(err)
	check(db.Verify(context.Background()))
	db.Sources()
}

// FuzzOpen changes bytes of a database, with and without making the checksums right again: nothing may crash.
func FuzzOpen(f *testing.F) {
	good := fuzzSeed(f)
	f.Add(good, false)
	f.Add(good, true)
	f.Add(good[:HeaderBytes], true)
	f.Add([]byte(magic), false)
	f.Fuzz(func(t *testing.T, b []byte, sealed bool) {
		if sealed {
			reseal(b)
		}
		db, err := open(b)
		if err != nil {
			if seaworthy.CodeOf(err) == seaworthy.Internal {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		ask(t, db)
	})
}

// FuzzPatch changes eight bytes of a good database at a place and makes the checksums right again.
func FuzzPatch(f *testing.F) {
	good := fuzzSeed(f)
	for i := 72; i < len(good); i += 61 {
		f.Add(uint32(i), uint64(1)<<(i%64))
	}
	f.Fuzz(func(t *testing.T, at uint32, bits uint64) {
		b := append([]byte(nil), good...)
		i := int(at) % (len(b) - 8)
		binary.LittleEndian.PutUint64(b[i:], binary.LittleEndian.Uint64(b[i:])^bits)
		reseal(b)
		if db, err := open(b); err == nil {
			ask(t, db)
		}
	})
}
