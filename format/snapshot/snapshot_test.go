package snapshot

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/seaworthy-dev/seaworthy"
)

const commit = "ce587453ced02b1526dfb4cb910479d431683101"

func full() Snapshot {
	return Snapshot{
		Job: Job{ID: "17", Correlator: "build main", HTMLURL: "https://ci.example/17"}, SHA: commit, Ref: "refs/heads/main",
		Detector: Detector{Name: "seaworthy", Version: "1.2.3", URL: "https://seaworthy.dev"},
		Metadata: Metadata{"os": String("linux <b>"), "cores": "2", "clean": "true", "nothing": "null"},
		Manifests: map[string]Manifest{"app/package-lock.json": {
			Name: "app", File: &File{SourceLocation: "app/package-lock.json"},
			Resolved: map[string]Resolved{
				"pkg:npm/%40a/b@1.0.0": {
					PackageURL: "pkg:npm/%40a/b@1.0.0", Relationship: Direct, Scope: Runtime, Dependencies: []string{"pkg:npm/c@2.0.0"},
				},
				"pkg:npm/c@2.0.0": {PackageURL: "pkg:npm/c@2.0.0", Relationship: Indirect, Scope: Development},
			},
		}},
		Scanned: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC),
	}
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	want := full()
	var first, second bytes.Buffer
	if err := Write(&first, &want); err != nil {
		t.Fatal(err)
	}
	got, err := Read(bytes.NewReader(first.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read back\n%+v\nwant\n%+v", got, want)
	}
	if err := Write(&second, &got); err != nil {
		t.Fatal(err)
	}
	if first.String() != second.String() {
		t.Errorf("written again it differs:\n%s\n%s", &first, &second)
	}
	for _, part := range []string{`"version": 0`, `"correlator": "build main"`, `"source_location": "app/package-lock.json"`, `"scanned": "2026-05-04T03:02:01Z"`} {
		if !strings.Contains(first.String(), part) {
			t.Errorf("there is no %s in\n%s", part, &first)
		}
	}
}

// The file is shaped like those of detectors in the field: package URLs without a scheme, names as keys, numbers
// in metadata, members that nobody documents.
func TestSnapshotsOfOthersAreRead(t *testing.T) {
	f, err := os.Open("testdata/other.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, err := Read(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(); err != nil {
		t.Error(err)
	}
	m := s.Manifests["package-lock.json"]
	if got := m.Path("package-lock.json"); got != "src/package-lock.json" {
		t.Errorf("path %q", got)
	}
	http := m.Resolved["http-client"]
	if got, want := http.PURL(), "pkg:npm/%40actions/http-client@1.0.7"; got != want {
		t.Errorf("package URL %q, want %q", got, want)
	}
	keys := m.Keys()
	for asked, want := range map[string]string{
		"tunnel": "tunnel", "/npm/tunnel@0.0.6": "tunnel", "pkg:npm/tunnel@0.0.6": "tunnel", "gone": "",
	} {
		if got := keys[asked]; got != want {
			t.Errorf("%q leads to %q, want %q", asked, got, want)
		}
	}
	if got := s.Metadata["nested"].Text() + s.Metadata["words"].Text(); got != `nulltwo "words"` {
		t.Errorf("metadata %q", got)
	}
	unset := Resolved{PackageURL: "not one"}
	if got := unset.PURL(); got != "" {
		t.Errorf("package URL of nonsense: %q", got)
	}
}

func TestWhatAReceiverWouldRefuseIsNotWritten(t *testing.T) {
	for name, change := range map[string]func(*Snapshot){
		"job.id is missing":                           func(s *Snapshot) { s.Job.ID = "" },
		"job.correlator is missing":                   func(s *Snapshot) { s.Job.Correlator = "" },
		"detector.url is missing":                     func(s *Snapshot) { s.Detector.URL = "" },
		`sha "main" is not`:                           func(s *Snapshot) { s.SHA = "main" },
		`ref "main" does not`:                         func(s *Snapshot) { s.Ref = "main" },
		"scanned is missing":                          func(s *Snapshot) { s.Scanned = time.Time{} },
		`manifest "x" has no name`:                    func(s *Snapshot) { s.Manifests["x"] = Manifest{} },
		`relationship "mine" is neither`:              func(s *Snapshot) { s.Manifests["x"] = one(Resolved{Relationship: "mine"}) },
		`scope "test" is neither`:                     func(s *Snapshot) { s.Manifests["x"] = one(Resolved{Scope: "test"}) },
		"metadata has 9 members":                      func(s *Snapshot) { s.Metadata = many() },
		`metadata of manifest "x" has 9 members`:      func(s *Snapshot) { s.Manifests["x"] = Manifest{Name: "x", Metadata: many()} },
		`"p" in manifest "x": metadata has 9 members`: func(s *Snapshot) { s.Manifests["x"] = one(Resolved{Metadata: many()}) },
	} {
		s := full()
		change(&s)
		var b bytes.Buffer
		err := Write(&b, &s)
		if seaworthy.CodeOf(err) != seaworthy.Invalid || !strings.Contains(err.Error(), name) || b.Len() > 0 {
			t.Errorf("want %q, got %v and %d bytes", name, err, b.Len())
		}
	}
}

func one(r Resolved) Manifest { return Manifest{Name: "x", Resolved: map[string]Resolved{"p": r}} }

func many() Metadata {
	m := Metadata{}
	for _, c := range "abcdefghi" {
		m[string(c)] = "1"
	}
	return m
}

func TestDamagedSnapshotsAreRefused(t *testing.T) {
	for body, want := range map[string]seaworthy.Code{
		"":                              seaworthy.Invalid,
		"[]":                            seaworthy.Invalid,
		`{"version":"one"}`:             seaworthy.Invalid,
		`{"version":0} {"version":1}`:   seaworthy.Invalid,
		`{"sha":"a","sha":"b"}`:         seaworthy.Invalid,
		"{\"sha\":\"\xff\"}":            seaworthy.Invalid,
		`{"manifests":{"a":{},"a":{}}}`: seaworthy.Invalid,
		`{"manifests":[` + strings.Repeat("[", 20_000):          seaworthy.Invalid,
		`{"x":` + strings.Repeat(`{"y":`, 20_000):               seaworthy.Invalid,
		`{"sha":"` + strings.Repeat("a", MaxBytes) + `"}`:       seaworthy.TooLarge,
		`{"manifests":{` + manyManifests(MaxManifests+1) + `}}`: seaworthy.TooLarge,
	} {
		_, err := Read(strings.NewReader(body))
		if got := seaworthy.CodeOf(err); got != want {
			t.Errorf("%.60q: %v (%v), want %v", body, got, err, want)
		}
	}
}

func manyManifests(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('"')
		b.WriteString(strings.Repeat("k", i%97))
		for k := i; k > 0; k /= 10 {
			b.WriteByte('0' + byte(k%10))
		}
		b.WriteString(`.":{}`)
	}
	return b.String()
}

func FuzzSnapshot(f *testing.F) {
	if b, err := os.ReadFile("testdata/other.json"); err == nil {
		f.Add(b)
	}
	var own bytes.Buffer
	s := full()
	if err := Write(&own, &s); err != nil {
		f.Fatal(err)
	}
	f.Add(own.Bytes())
	f.Add([]byte(`{"manifests":{"a":{"name":"a","resolved":{"b":{"package_url":"pkg:npm/b@1","dependencies":["b"],"metadata":{"x":[1,{}]}}}}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := Read(bytes.NewReader(body))
		if err != nil {
			if c := seaworthy.CodeOf(err); c != seaworthy.Invalid && c != seaworthy.TooLarge {
				t.Fatalf("code %v: %v", c, err)
			}
			return
		}
		for _, m := range s.Manifests {
			for name, key := range m.Keys() {
				if _, ok := m.Resolved[key]; !ok {
					t.Fatalf("%q leads to %q, which is not there", name, key)
				}
			}
		}
		var b bytes.Buffer
		if Write(&b, &s) != nil {
			return
		}
		again, err := Read(&b)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		var c bytes.Buffer
		if err := Write(&c, &again); err != nil {
			t.Fatal(err)
		}
	})
}
