package main

import (
	"bytes"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/source/advisory"
)

const oneAdvisory = `{"schema_version": "1.6.0", "id": "GHSA-aaaa-bbbb-cccc", "modified": "2024-05-06T07:08:09Z",
 "affected": [{"package": {"ecosystem": "npm", "name": "lefthand"}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}]}]}`

// command runs one command line away from the person's own settings.
func command(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, talk bytes.Buffer
	status = run(args, strings.NewReader(""), &out, &talk)
	return out.String(), talk.String(), status
}

// TestAdvisoriesFromARegistry takes a database from an OCI artifact, and leaves the old one where it is when the
// artifact is not one, or is damaged.
func TestAdvisoriesFromARegistry(t *testing.T) {
	dir := t.TempDir()
	for _, variable := range []string{"XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "HOME"} {
		t.Setenv(variable, dir)
	}
	record, database := filepath.Join(dir, "a.json"), filepath.Join(dir, "a.db")
	if err := os.WriteFile(record, []byte(oneAdvisory), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, talk, status := command(t, "advisories", "build", "--from", record, "-o", database); status != 0 {
		t.Fatalf("building: %d %s", status, talk)
	}
	content, err := os.ReadFile(database)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	push := func(tag string, layers ...v1.Layer) string {
		t.Helper()
		image, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), layers...)
		if err != nil {
			t.Fatal(err)
		}
		ref, err := name.ParseReference(host + "/advisories:" + tag)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(ref, image); err != nil {
			t.Fatal(err)
		}
		return ref.String()
	}
	layer := func(b []byte) v1.Layer { return static.NewLayer(b, "application/vnd.seaworthy.advisories") }
	good := push("good", layer(content))
	damaged := bytes.Clone(content)
	damaged[len(damaged)/2] ^= 1
	// A damaged database answers no scan: what is damaged is found before it is believed.
	bad, bill := filepath.Join(dir, "bad.db"), filepath.Join(dir, "bill.json")
	if err := os.WriteFile(bill, []byte(`{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[
		{"type":"library","name":"lefthand","version":"1","purl":"pkg:npm/lefthand@1"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(bad, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, talk, status := command(t, "scan", bill, "--advisories", bad); status != 1 || out != "" || !strings.Contains(talk, "damaged") {
		t.Errorf("a damaged database answers: status %d, %q, %q", status, out, talk)
	}
	if out, _, status := command(t, "scan", bill, "--advisories", database); status != 0 || !strings.Contains(out, "GHSA-aaaa-bbbb-cccc") {
		t.Errorf("the whole one does not: status %d, %q", status, out)
	}
	mine := filepath.Join(dir, "mine.db")
	if _, talk, status := command(t, "advisories", "update", "oci://"+good, "--advisories", mine); status != 0 {
		t.Fatalf("from a registry: %d %s", status, talk)
	}
	for what, ref := range map[string]string{
		"damaged": push("damaged", layer(damaged)), "of two layers": push("two", layer(content), layer([]byte("x"))), "something else": push("else", layer([]byte("x"))),
		"not there": host + "/advisories:gone",
	} {
		if _, talk, status := command(t, "advisories", "update", ref, "--advisories", mine); status == 0 || talk == "" {
			t.Errorf("%s: status %d, %q", what, status, talk)
		}
		if kept, err := os.ReadFile(mine); err != nil || !bytes.Equal(kept, content) {
			t.Errorf("%s: the old database is not what it was (%v)", what, err)
		}
	}
	db, err := advisory.Open(mine)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if db.Records() != 1 {
		t.Errorf("%d advisories, want 1", db.Records())
	}
}

func TestCheckedBlob(t *testing.T) {
	closed := 0
	for content, ok := range map[string]bool{"hello": true, "hellO": false, "hell": false, "": false} {
		b, err := newCheckedBlob(nopCloser{strings.NewReader(content)}, seaworthy.SHA256([]byte("hello")), func() { closed++ })
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		_, err = got.ReadFrom(b)
		if (err == nil) != ok || !ok && seaworthy.CodeOf(err) != seaworthy.Mismatch {
			t.Errorf("%q: %v", content, err)
		}
		b.Close()
	}
	if closed != 4 {
		t.Errorf("closed %d times, want 4", closed)
	}
	if _, err := newCheckedBlob(nopCloser{strings.NewReader("")}, "md5:00", func() {}); seaworthy.CodeOf(err) != seaworthy.Unsupported {
		t.Errorf("a digest that names nothing: %v", err)
	}
}

type nopCloser struct{ *strings.Reader }

func (nopCloser) Close() error { return nil }

func TestDays(t *testing.T) {
	for text, want := range map[string]string{"36h": "36 hours", "14d": "14 days", "2w": "14 days", "0.5d": "12 hours"} {
		var d days
		if err := d.Set(text); err != nil || d.String() != want {
			t.Errorf("%q is %q, %v; want %q", text, d.String(), err, want)
		}
	}
	for _, bad := range []string{"", "d", "-1d", "0h", "NaNd", "99999999d", "soon"} {
		var d days
		if err := d.Set(bad); seaworthy.CodeOf(err) != seaworthy.Usage {
			t.Errorf("%q: %v, want a usage error", bad, err)
		}
	}
}
