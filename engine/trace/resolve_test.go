package trace

import (
	"errors"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// A subject is found as a person writes it.
func TestResolve(t *testing.T) {
	m := world(t)
	for text, want := range map[string]seaworthy.Subject{
		hexID(openssl):                      subj(openssl),
		string(webDigest):                   subj(webDigest),
		webDigest.Hex():                     subj(webDigest),
		"sha256:" + appDigest.Hex()[:9]:     subj(appDigest),
		toolDigest.Hex()[:12]:               subj(toolDigest),
		strings.ToUpper(webDigest.Hex()):    subj(webDigest),
		openssl:                             subj(openssl),
		"pkg:deb/debian/openssl":            subj("pkg:deb/debian/openssl"),
		"pkg:deb/debian/openssl@3.0.1":      subj(openssl),
		"pkg:DEB/Debian/openssl@3.0.1":      subj(openssl),
		"pkg:npm/left-pad@1.3":              subj(leftPad),
		"openssl":                           subj("pkg:deb/debian/openssl"),
		"CVE-2023-0001":                     subj("CVE-2023-0001"),
		"cve-2023-0001":                     subj("CVE-2023-0001"),
		"GHSA-AAAA-BBBB-CCCC":               subj("GHSA-aaaa-bbbb-cccc"),
		"/app":                              subj(appDigest),
		"/tool":                             subj(toolDigest),
		repo:                                subj(repo),
		"https://github.com/shop/web":       subj(repo),
		"https://github.com/shop/web.git":   subj(repo),
		ciKey:                               subj(ciKey),
		"ci@example.com":                    subj(ciKey),
		workload:                            subj(workload),
		"Apache-2.0":                        subj("licence:Apache-2.0"),
		"registry.example/shop/web:2":       subj(webDigest),
		"oci://registry.example/shop/web:2": subj(webDigest),
		"registry.example/shop/web@" + string(webDigest): subj(webDigest),
		"registry.example/shop/web:1":                    subj(webDigest), // and not what the tag named before
		strings.TrimPrefix(doc("verdict"), "doc:"):       subj(doc("verdict")),
	} {
		a, err := New(m, Options{}).Ask(t.Context(), Question{Verb: "known", Subject: text})
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if a.Subject != graph.FormatID(want.ID()) {
			t.Errorf("%q is %s, want %v", text, a.Subject, want)
		}
	}
}

func TestReferences(t *testing.T) {
	for text, want := range map[string]string{
		"nginx":                 "nginx docker.io/library/nginx index.docker.io/library/nginx nginx:latest docker.io/library/nginx:latest index.docker.io/library/nginx:latest",
		"nginx:1":               "nginx:1 docker.io/library/nginx:1 index.docker.io/library/nginx:1",
		"team/app:1":            "team/app:1 docker.io/team/app:1 index.docker.io/team/app:1",
		"localhost/app":         "localhost/app localhost/app:latest",
		"registry.example/a:1":  "registry.example/a:1",
		"registry:5000/a":       "registry:5000/a registry:5000/a:latest",
		"pkg:npm/a":             "",
		"https://example.com/a": "",
		"":                      "",
		"two words":             "",
	} {
		if got := strings.Join(references(text), " "); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// A name that fits several lists some of them with their ids, in a fixed order and on one line.
func TestAmbiguous(t *testing.T) {
	image := seaworthy.SHA256([]byte("image"))
	var statements []seaworthy.Statement
	for _, letter := range "abcdefghijklm" {
		statements = append(statements, says(image, seaworthy.SaysContains, "pkg:npm/part-"+string(letter)+"@1"))
	}
	m := graphOf(t, entry("bill", seaworthy.BillDocument, day(1), nil, statements...))
	_, err := New(m, Options{}).Ask(t.Context(), Question{Verb: "known", Subject: "part"})
	var e *seaworthy.Error
	if !errors.As(err, &e) || e.Code != seaworthy.Usage || e.Hint == "" {
		t.Fatalf("got %v", err)
	}
	text := err.Error()
	if !strings.Contains(text, `could be any of 13: among them "pkg:npm/part-a@1" (package, id `+hexID("pkg:npm/part-a@1")+")") ||
		strings.Contains(text, "part-e") || strings.Contains(text, "\n") {
		t.Errorf("got %q", text)
	}
}

// Whatever is asked about, the answer is one, or an error that says what to do.
func FuzzSubject(f *testing.F) {
	m := world(f)
	for _, q := range questions {
		f.Add(q.Subject, q.Verb)
	}
	for _, text := range []string{hexID(openssl), string(webDigest), "pkg:", "pkg:npm/%zz", "git+", "oci://", "\x00", "a@b@sha256:c", strings.Repeat("/", 100)} {
		f.Add(text, "known")
	}
	f.Fuzz(func(t *testing.T, text, verb string) {
		a, err := New(m, Options{}).Ask(t.Context(), Question{Verb: verb, Subject: text, To: text})
		switch seaworthy.CodeOf(err) {
		case "":
			wholeAnswer(t, a)
		case seaworthy.Usage, seaworthy.NotFound, seaworthy.TooLarge, seaworthy.Invalid:
		default:
			t.Errorf("%s %q: %v", verb, text, err)
		}
	})
}
