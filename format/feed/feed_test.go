package feed_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/feed"
)

const (
	tracker = `{"openssl":{"CVE-2023-0286":{"description":"X.400","scope":"remote","releases":{
"bookworm":{"status":"resolved","repositories":{"bookworm":"3.0.11-1"},"fixed_version":"3.0.8-1","urgency":"not yet assigned"},
"trixie":{"status":"resolved","fixed_version":"0","urgency":"unimportant"},
"bullseye":{"status":"open","urgency":"low","nodsa":"Minor issue","nodsa_reason":"postponed"}}},
"CVE-bad":{"releases":{"sid":{"status":"perhaps"}}}},"zlib":{"TEMP-0000001-ABCDEF":{"releases":{"sid":{"status":"undetermined","urgency":"x"}}}}}`
	secdb = `{"apkurl":"{{urlprefix}}/x","archs":["x86_64"],"reponame":"main","urlprefix":"https://x","distroversion":"v3.18",
"packages":[{"pkg":{"name":"busybox","secfixes":{"1.36.1-r2":["CVE-2022-48174"],"0":["CVE-2022-30065 GHSA-xxxx-xxxx-xxxx"]}}},{"pkg":{"name":""}}]}`
	kev = `{"title":"t","catalogVersion":"2025.08.25","dateReleased":"2025-08-25T17:04:19.9796Z","count":2,"vulnerabilities":[
{"cveID":"CVE-2025-48384","vulnerabilityName":"Git","dateAdded":"2025-08-25","dueDate":"2025-09-15","knownRansomwareCampaignUse":"Known","cwes":["CWE-59"]},
{"cveID":"nonsense"}]}`
	epss = "#model_version:v2025.03.14,score_date:2025-08-25T12:55:00Z\ncve,epss,percentile\nCVE-1999-0001,0.00888,0.74621\nCVE-1999-0002,2,0.1\n"
)

func TestClassify(t *testing.T) {
	for in, want := range map[string]feed.Kind{
		tracker: feed.DebianTracker, secdb: feed.AlpineSecDB, kev: feed.KEVCatalog, epss: feed.EPSSScores,
		"cve,epss,percentile\n": feed.EPSSScores, `{"id":"X"}`: feed.OSV, "id: X\n": feed.OSV, "# c\nmodified: 1\n": feed.OSV,
		`{"database_specific":{},"id":"X"}`: feed.OSV, `{"a":1}`: feed.Unknown, `{"a":{"b":1}}`: feed.Unknown, "": feed.Unknown,
		"[1]": feed.Unknown, "\xef\xbb\xbf {\"id\":1}": feed.OSV, "PK\x03\x04": feed.Unknown,
	} {
		if got := feed.Classify([]byte(in)); got != want {
			t.Errorf("Classify(%.30q) = %q, want %q", in, got, want)
		}
	}
}

func TestDebian(t *testing.T) {
	var got []feed.DebianIssue
	var bad []string
	err := feed.Debian(strings.NewReader(tracker), func(i feed.DebianIssue) error { got = append(got, i); return nil },
		func(name string, err error) { bad = append(bad, name) })
	if err != nil {
		t.Fatal(err)
	}
	want := []feed.DebianIssue{
		{Package: "openssl", ID: "CVE-2023-0286", Description: "X.400", Releases: []feed.DebianRelease{
			{Release: "11", Status: "open", Urgency: "low", NoDSA: "Minor issue", Reason: "postponed"},
			{Release: "12", Status: "resolved", Fixed: "3.0.8-1", Urgency: "not yet assigned"},
			{Release: "13", Status: "resolved", Fixed: "0", Urgency: "unimportant"},
		}},
		{Package: "zlib", ID: "TEMP-0000001-ABCDEF", Releases: []feed.DebianRelease{{Release: "sid", Status: "undetermined", Urgency: "x"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"openssl CVE-bad"}, bad); diff != "" {
		t.Error(diff)
	}
}

func TestAlpine(t *testing.T) {
	want := []feed.AlpineFix{
		{Distro: "v3.18", Repo: "main", Package: "busybox", Fixed: "0", IDs: []string{"CVE-2022-30065", "GHSA-xxxx-xxxx-xxxx"}},
		{Distro: "v3.18", Repo: "main", Package: "busybox", Fixed: "1.36.1-r2", IDs: []string{"CVE-2022-48174"}},
	}
	// The header may also come after the packages.
	late := strings.Replace(secdb, `"distroversion":"v3.18",`, "", 1)
	late = strings.TrimSuffix(late, "}") + `,"distroversion":"v3.18"}`
	for _, in := range []string{secdb, late} {
		var got []feed.AlpineFix
		bad := 0
		err := feed.Alpine(strings.NewReader(in), func(f feed.AlpineFix) error { got = append(got, f); return nil },
			func(string, error) { bad++ })
		if err != nil || bad != 1 {
			t.Fatalf("error %v, %d bad, want 1", err, bad)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestKEV(t *testing.T) {
	var got []feed.KEVEntry
	var bad []string
	date, err := feed.KEV(strings.NewReader(kev), func(e feed.KEVEntry) error { got = append(got, e); return nil },
		func(name string, err error) { bad = append(bad, name) })
	if err != nil || date != "2025-08-25T17:04:19.9796Z" {
		t.Fatalf("date %q, error %v", date, err)
	}
	want := []feed.KEVEntry{{ID: "CVE-2025-48384", Fact: seaworthy.KEV{Added: "2025-08-25", Due: "2025-09-15", Ransomware: true, Name: "Git"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"nonsense"}, bad); diff != "" {
		t.Error(diff)
	}
}

func TestRealKEV(t *testing.T) {
	f, err := os.Open("../../../shared/data/kev/known_exploited_vulnerabilities.json")
	if err != nil {
		t.Skipf("SKIPPED: the real KEV catalogue is absent: %v", err)
	}
	defer f.Close()
	n, ransomware := 0, 0
	_, err = feed.KEV(f, func(e feed.KEVEntry) error {
		if n++; e.Fact.Ransomware {
			ransomware++
		}
		return nil
	}, func(name string, err error) { t.Errorf("%s: %v", name, err) })
	if err != nil || n != 1404 || ransomware != 293 {
		t.Errorf("%d entries, %d ransomware, error %v; want 1404, 293", n, ransomware, err)
	}
}

func TestEPSS(t *testing.T) {
	var got []feed.EPSSEntry
	bad := 0
	date, err := feed.EPSS(strings.NewReader(epss), func(e feed.EPSSEntry) error { got = append(got, e); return nil },
		func(string, error) { bad++ })
	if err != nil || date != "2025-08-25T12:55:00Z" || bad != 1 {
		t.Fatalf("date %q, %d bad, error %v", date, bad, err)
	}
	want := []feed.EPSSEntry{{ID: "CVE-1999-0001", Fact: seaworthy.EPSS{Probability: 0.00888, Percentile: 0.74621}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCutFilesAreErrors(t *testing.T) {
	ignore := func(string, error) {}
	for name, read := range readers {
		for cut := 1; cut < len(name.text)-1; cut += 7 {
			err := read(name.text[:cut], ignore)
			if name.kind == feed.EPSSScores {
				continue // a cut CSV is a shorter CSV
			}
			if seaworthy.CodeOf(err) != seaworthy.Invalid {
				t.Errorf("%s cut at %d: error %v", name.kind, cut, err)
			}
		}
	}
}

// TestCallbackErrorEnds checks that an error of each ends the reading and comes back.
func TestCallbackErrorEnds(t *testing.T) {
	stop := errors.New("stop")
	if err := feed.Debian(strings.NewReader(tracker), func(feed.DebianIssue) error { return stop }, nil); !errors.Is(err, stop) {
		t.Errorf("error %v, want stop", err)
	}
}

func TestCVENumber(t *testing.T) {
	a, ok := feed.CVENumber("CVE-2023-44487")
	b, ok2 := feed.CVENumber("CVE-2024-0001")
	if !ok || !ok2 || a >= b {
		t.Errorf("%d %v, %d %v", a, ok, b, ok2)
	}
	for _, s := range []string{"", "CVE-", "CVE-2023-", "CVE-2023-1x", "cve-2023-1234", "CVE-2023-123456789012345", "CVE-2023-01234", "GHSA-1"} {
		if n, ok := feed.CVENumber(s); ok {
			t.Errorf("CVENumber(%q) = %d", s, n)
		}
	}
}

// endless is a JSON string that never ends.
type endless struct{ head string }

func (e *endless) Read(p []byte) (int, error) {
	if e.head != "" {
		n := copy(p, e.head)
		e.head = e.head[n:]
		return n, nil
	}
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestEndlessEntry(t *testing.T) {
	_, err := feed.KEV(&endless{`{"vulnerabilities":[{"cveID":"`}, func(feed.KEVEntry) error { return nil }, func(string, error) {})
	if seaworthy.CodeOf(err) != seaworthy.TooLarge {
		t.Errorf("error %v, want too-large", err)
	}
}

type sample struct {
	kind feed.Kind
	text string
}

var readers = map[sample]func(string, feed.Bad) error{
	{feed.DebianTracker, tracker}: func(s string, bad feed.Bad) error {
		return feed.Debian(strings.NewReader(s), func(feed.DebianIssue) error { return nil }, bad)
	},
	{feed.AlpineSecDB, secdb}: func(s string, bad feed.Bad) error {
		return feed.Alpine(strings.NewReader(s), func(feed.AlpineFix) error { return nil }, bad)
	},
	{feed.KEVCatalog, kev}: func(s string, bad feed.Bad) error {
		_, err := feed.KEV(strings.NewReader(s), func(feed.KEVEntry) error { return nil }, bad)
		return err
	},
	{feed.EPSSScores, epss}: func(s string, bad feed.Bad) error {
		_, err := feed.EPSS(strings.NewReader(s), func(feed.EPSSEntry) error { return nil }, bad)
		return err
	},
}

func FuzzFeeds(f *testing.F) {
	for s := range readers {
		f.Add(s.text)
	}
	f.Fuzz(func(t *testing.T, in string) {
		feed.Classify([]byte(in))
		for s, read := range readers {
			if err := read(in, func(string, error) {}); seaworthy.CodeOf(err) == seaworthy.Internal {
				t.Errorf("%s: untyped error %v", s.kind, err)
			}
		}
	})
}
