package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/trace"
	"github.com/seaworthy-dev/seaworthy/internal/makeimage"
	"github.com/seaworthy-dev/seaworthy/store/graph"
	"github.com/seaworthy-dev/seaworthy/store/storetest"
)

// typed runs a command line in this process. Nothing of the person who runs the tests is read.
func typed(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	home := t.TempDir()
	t.Setenv("HOME", home)
	for _, name := range []string{"XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "SEAWORTHY_STORE"} {
		t.Setenv(name, "")
	}
	var out, said bytes.Buffer
	if got := run(args, strings.NewReader(""), &out, &said); got != want {
		t.Fatalf("%q: exit status %d, want %d\n%s%s", args, got, want, out.String(), said.String())
	}
	return out.String(), said.String()
}

// asked asks a graph, and gives the answer.
func asked(t *testing.T, args ...string) *trace.Answer {
	t.Helper()
	out, _ := typed(t, 0, append(append([]string{"graph"}, args...), "-o", "json")...)
	a := new(trace.Answer)
	if err := json.Unmarshal([]byte(out), a); err != nil {
		t.Fatal(err)
	}
	return a
}

// cell is what a row has in a column.
func cell(a *trace.Answer, r trace.Row, column string) string {
	for i, c := range a.Columns {
		if c == column && i < len(r.Cells) {
			return r.Cells[i]
		}
	}
	return ""
}

const seedExample = "../../../shared/data/seed-example"

// TestSeedExample asks for the picture that the project began with, as a person would: an image of Kubernetes, its two
// binaries, who built one of them from which source, how that is looked after, and that nothing is known of the other.
func TestSeedExample(t *testing.T) {
	if _, err := os.Stat(seedExample); err != nil {
		t.Skip("SKIPPED: the three documents of ../shared/data/seed-example are not there, so the picture was not asked for")
	}
	store := filepath.Join(t.TempDir(), "graph")
	typed(t, 0, "graph", "ingest", "--store", store, seedExample)
	// The provenance names a binary like that for each of five platforms, too: the image is meant, and it is said.
	a := asked(t, "provenance", "kube-controller-manager", "--store", store)
	took := a.Took
	for range 2 { // the machine may be busy with something else
		took = min(took, asked(t, "provenance", "kube-controller-manager", "--store", store).Took)
	}
	if took >= 10 {
		t.Errorf("it took %g ms", took)
	}
	got := map[string][]string{}
	for _, r := range a.Rows {
		got[cell(a, r, "what")] = []string{cell(a, r, "attestation"), cell(a, r, "source"), cell(a, r, "scorecard")}
		if strings.HasPrefix(cell(a, r, "commit"), "1ff66136") {
			got[cell(a, r, "what")] = append(got[cell(a, r, "what")], "1ff66136")
		}
	}
	want := map[string][]string{
		"k8s.gcr.io/kube-controller-manager-v1.24.6": {"∅ no attestation", "", ""},
		"/usr/local/bin/kube-controller-manager":     {"SLSA v0.2", "github.com/kubernetes/kubernetes", "8.7", "1ff66136"},
		"/go-runner":                                 {"∅ no attestation", "", ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for label, beginning := range map[string]string{"/usr/local/bin/kube-controller-manager": "sha256:ada949e0", "/go-runner": "sha256:eca5c120"} {
		found := false
		for _, n := range a.Nodes {
			found = found || n.Label == label && strings.HasPrefix(n.Key, beginning)
		}
		if !found {
			t.Errorf("%s is not %s", label, beginning)
		}
	}
	tree, _ := typed(t, 0, "graph", "provenance", "kube-controller-manager", "--store", store, "-o", "tree")
	for _, line := range []string{
		`(?m)^├── hasFile /go-runner \(unsigned\)$`, `(?m)^│   └── ∅ no attestation: `, `(?m)^├── hasFile /usr/local/bin/kube-controller-manager `,
		`(?m)^│   ├── built github.com/kubernetes/kubernetes@1ff66136acfd \[scorecard: 8.7, `,
	} {
		if !regexp.MustCompile(line).MatchString(tree) {
			t.Errorf("the tree has no line %s:\n%s", line, tree)
		}
	}
}

// pushImage pushes a small image and returns its name.
func (p *port) pushImage(t *testing.T, name string) (image string, digest seaworthy.Digest) {
	t.Helper()
	img, err := makeimage.Build(shopLayers(), makeimage.Options{Name: "registry.example/shop/app:1"})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := img.WriteLayout(dir); err != nil {
		t.Fatal(err)
	}
	image = strings.TrimPrefix(p.url, "http://") + "/" + name
	typed(t, 0, "oci", "push", image, dir, "--quiet")
	return image, img.Digest()
}

func write(t *testing.T, name, body string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// shopBill is a bill about an image that says under which licence left-pad is.
func shopBill(digest seaworthy.Digest, licence string) string {
	return `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"metadata":{"timestamp":"2026-01-02T03:04:05Z","component":` +
		`{"bom-ref":"app","type":"container","name":"app","version":"1","hashes":[{"alg":"SHA-256","content":"` + digest.Hex() + `"}]}},` +
		`"components":[{"bom-ref":"l","type":"library","name":"left-pad","version":"1.3.0","purl":"pkg:npm/left-pad@1.3.0","licenses":[{"license":{"id":"` + licence + `"}}]}],` +
		`"dependencies":[{"ref":"app","dependsOn":["l"]}]}`
}

// TestBillsDisagree: a signed and an unsigned bill about one image say different things. Both are shown, with who says
// what, and whose word counts decides.
func TestBillsDisagree(t *testing.T) {
	dir := t.TempDir()
	p := openPort(t, dir, "127.0.0.1:0", allRoles)
	image, digest := p.pushImage(t, "shop/app:1")
	signedBill, otherBill := write(t, "signed.cdx.json", shopBill(digest, "WTFPL")), write(t, "other.cdx.json", shopBill(digest, "GPL-3.0-only"))
	t.Setenv("SEAWORTHY_IDENTITY_TOKEN", p.token(t, "ci@example.com"))
	typed(t, 0, "attest", image, "--predicate", signedBill, "--type", "cyclonedx", "--signing-config", filepath.Join(dir, "signing_config.json"), "--quiet")
	typed(t, 0, "oci", "attach", image, otherBill, "--type", "application/vnd.cyclonedx+json", "--quiet")
	store := []string{"--store", filepath.Join(dir, "graph")}
	typed(t, 0, append([]string{"graph", "jobs", "--wait"}, store...)...)

	licences := func(more ...string) map[string]bool {
		a := asked(t, append(append([]string{"licences", image}, store...), more...)...)
		said := map[string]bool{}
		for _, r := range a.Rows {
			said[cell(a, r, "licence")] = r.Signed
		}
		return said
	}
	if diff := cmp.Diff(map[string]bool{"WTFPL": true, "GPL-3.0-only": false}, licences()); diff != "" {
		t.Errorf("both are to be shown, each with whether it is signed: %s", diff)
	}
	for name, trust := range map[string][]string{
		"signed": {"--trust", "signed"}, "by ci": {"--signer", "identity:ci@example.com|" + p.url + "/oidc"}, "by ci of any issuer": {"--signer", "identity:ci@example.com|*"},
	} {
		if diff := cmp.Diff(map[string]bool{"WTFPL": true}, licences(trust...)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if diff := cmp.Diff(map[string]bool{}, licences("--signer", "identity:eve@example.com|*")); diff != "" {
		t.Errorf("by somebody else: %s", diff)
	}
	table, _ := typed(t, 0, append([]string{"graph", "licences", image}, store...)...)
	for _, line := range []string{`(?m)^WTFPL .*  ci@example.com$`, `(?m)^GPL-3.0-only .*  unsigned$`} {
		if !regexp.MustCompile(line).MatchString(table) {
			t.Errorf("the table has no line %s:\n%s", line, table)
		}
	}
}

// TestGraphIsAskedWhereItIsServed: while up has the folder open, the command line asks it over HTTP, and the answers are
// the same; also in the face of what an earlier server left behind.
func TestGraphIsAskedWhereItIsServed(t *testing.T) {
	dir := t.TempDir()
	store := filepath.Join(dir, "graph")
	bill := write(t, "a.cdx.json", shopBill(seaworthy.SHA256([]byte("image")), "MIT"))
	p := openPort(t, dir, "127.0.0.1:0", allRoles)
	if out, _ := typed(t, 0, "graph", "ingest", bill, "--store", store); !strings.Contains(out, "1 document, 1 new") {
		t.Error(out)
	}
	if out, _ := typed(t, 0, "graph", "ingest", bill, "--store", p.url); !strings.Contains(out, "1 document, 0 new") {
		t.Error(out)
	}
	if _, said := typed(t, 1, "graph", "check", "--store", store); !strings.Contains(said, "another process has it open") {
		t.Error(said)
	}
	typed(t, 3, "graph", "vulns", "pkg:npm/left-pad", "--store", store, "--trust", "some")
	typed(t, 5, "graph", "vulns", "pkg:npm/right-pad", "--store", store)
	if _, said := typed(t, 1, "graph", "ingest", write(t, "text", "text"), "--store", store); !strings.Contains(said, "could") && !strings.Contains(said, "no document") {
		t.Error(said)
	}
	served := asked(t, "licences", "pkg:npm/left-pad@1.3.0", "--store", store)
	info, err := os.Stat(servingFile(store))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	left, err := os.ReadFile(servingFile(store))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.shut(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(servingFile(store)); err == nil {
		t.Error("it is still said to be served")
	}
	if diff := cmp.Diff(asked(t, "licences", "pkg:npm/left-pad@1.3.0", "--store", store), served, cmpopts.IgnoreFields(trace.Answer{}, "Took")); diff != "" {
		t.Errorf("another answer than when it was served: %s", diff)
	}

	// The file of a server that was killed is left, and nobody has the folder: it does not matter.
	if err := os.WriteFile(servingFile(store), left, 0o600); err != nil {
		t.Fatal(err)
	}
	typed(t, 0, "graph", "stats", "--store", store)
	// Somebody has it who does not serve it: nobody is at that address, or another server is.
	held, err := graph.Open(t.Context(), store, graph.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if _, said := typed(t, 1, "graph", "stats", "--store", store); !strings.Contains(said, "another process has it open") {
		t.Error(said)
	}
	another := openPort(t, t.TempDir(), strings.TrimPrefix(p.url, "http://"), allRoles)
	if _, said := typed(t, 1, "graph", "stats", "--store", store); !strings.Contains(said, "another one is there now") {
		t.Error(said)
	}
	if err := another.shut(); err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{"nothing": "", "half": `{"address":"http`, "no instance": `{"address":"http://127.0.0.1:1"}`} {
		if err := os.WriteFile(servingFile(store), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, said := typed(t, 1, "graph", "stats", "--store", store); !strings.Contains(said, "another process has it open") {
			t.Errorf("%s: %s", name, said)
		}
	}
}

// TestGraphWithTokens: whom others reach, it asks who they are; its owner on this machine need not know a token.
func TestGraphWithTokens(t *testing.T) {
	const secret = "canary-token-5e0b7a91"
	tokens := write(t, "tokens.yaml", "tokens:\n  - {name: ci, sha256: "+seaworthy.SHA256([]byte(secret)).Hex()+", scopes: [read]}\n")
	dir := t.TempDir()
	store := filepath.Join(dir, "graph")
	p := openPort(t, dir, "127.0.0.1:0", allRoles, func(o *serveFlags) { o.graph.tokens = tokens })
	if status, _ := p.get(t, "/api/graph/v1/stats"); status != http.StatusUnauthorized {
		t.Errorf("without a token: %d", status)
	}
	if status, _ := p.get(t, "/"); status != http.StatusOK {
		t.Errorf("the page itself is no secret: %d", status)
	}
	bill := write(t, "a.cdx.json", shopBill(seaworthy.SHA256([]byte("image")), "MIT"))
	typed(t, 4, "graph", "stats", "--store", p.url)
	typed(t, 0, "graph", "stats", "--store", p.url, "--token-file", write(t, "token", secret+"\n"))
	typed(t, 4, "graph", "stats", "--store", p.url, "--token-file", write(t, "token", secret+"x"))
	if _, said := typed(t, 1, "graph", "ingest", bill, "--store", p.url, "--token-file", write(t, "token", secret)); !strings.Contains(said, "lacks the scope") || strings.Contains(said, "canary") {
		t.Error(said)
	}
	typed(t, 0, "graph", "ingest", bill, "--store", store)
	body, err := os.ReadFile(servingToken(store))
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(servingToken(store)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the owner's token can be read by others: %v %v", info, err)
	}
	if err := p.shut(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(servingToken(store)); err == nil {
		t.Error("the owner's token is left")
	}
	log := p.logs.String()
	if strings.Contains(log, "canary") || strings.Contains(log, strings.TrimSpace(string(body))) {
		t.Errorf("the log has a token:\n%s", log)
	}
	if !strings.Contains(log, "token=owner") {
		t.Error("the log does not say who changed something")
	}
	// Who is reached by another name, or listens elsewhere, asks for tokens even when none were configured.
	for name, change := range map[string]func(*serveFlags){
		"elsewhere": func(o *serveFlags) { o.at = "192.0.2.1:80" }, "everywhere": func(o *serveFlags) { o.at = "0.0.0.0:80" },
	} {
		p := openPort(t, t.TempDir(), "127.0.0.1:0", graphRole, change)
		if status, _ := p.get(t, "/api/graph/v1/stats"); status != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, status)
		}
	}
}

// TestGraphInPostgres: a graph in a database is asked there by anybody, also while up works on it.
func TestGraphInPostgres(t *testing.T) {
	if testing.Short() {
		t.Skip("starts PostgreSQL")
	}
	database := storetest.StartPostgres(t).Database(t)
	dir := t.TempDir()
	p := openPort(t, dir, "127.0.0.1:0", allRoles, func(o *serveFlags) { o.graph.store = database })
	image, digest := p.pushImage(t, "shop/app:1")
	typed(t, 0, "oci", "attach", image, write(t, "a.cdx.json", shopBill(digest, "MIT")), "--type", "application/vnd.cyclonedx+json", "--quiet")
	typed(t, 0, "graph", "jobs", "--wait", "--store", p.url)
	served := asked(t, "licences", image, "--store", p.url)
	if len(served.Rows) != 1 || cell(served, served.Rows[0], "licence") != "MIT" {
		t.Errorf("%+v", served.Rows)
	}
	if diff := cmp.Diff(served, asked(t, "licences", image, "--store", database), cmpopts.IgnoreFields(trace.Answer{}, "Took")); diff != "" {
		t.Errorf("another answer than from the server: %s", diff)
	}
	typed(t, 0, "graph", "ingest", write(t, "b.cdx.json", shopBill(seaworthy.SHA256([]byte("another")), "MIT")), "--store", database)
	typed(t, 0, "graph", "check", "--store", database)
	served = asked(t, "licences", image, "--store", p.url)
	backup, again := filepath.Join(t.TempDir(), "copy"), filepath.Join(t.TempDir(), "again")
	typed(t, 0, "graph", "backup", backup, "--store", database)
	typed(t, 0, "graph", "restore", backup, "--store", again)
	if diff := cmp.Diff(served, asked(t, "licences", image, "--store", again), cmpopts.IgnoreFields(trace.Answer{}, "Took")); diff != "" {
		t.Errorf("another answer than from the copy: %s", diff)
	}
}

// TestRootsAreNotTakenFromWhereTheGraphIs: what lies beside a graph that was named is not believed for that, and what
// lies beside the person's own is.
func TestRootsAreNotTakenFromWhereTheGraphIs(t *testing.T) {
	dir := t.TempDir()
	p := openPort(t, filepath.Join(dir, "up"), "127.0.0.1:0", allRoles&^graphRole)
	image, _ := p.pushImage(t, "shop/app:1")
	t.Setenv("SEAWORTHY_IDENTITY_TOKEN", p.token(t, "ci@example.com"))
	typed(t, 0, "sign", image, "--signing-config", filepath.Join(dir, "up", "signing_config.json"), "--quiet")
	signed := func(args ...string) bool {
		t.Helper()
		typed(t, 0, append([]string{"graph", "ingest", image}, args...)...)
		var store []string
		if len(args) > 0 {
			store = args[:2]
		}
		a := asked(t, append([]string{"artifact", image, "--trust", "signed"}, store...)...)
		return len(a.Tiles) > 0 && a.Tiles[0].Name == "signature" && a.Tiles[0].State == "good"
	}
	t.Setenv("SEAWORTHY_DATA_DIR", dir)
	if signed("--store", filepath.Join(dir, "up", "other")) {
		t.Error("a root that happens to lie beside the graph is believed")
	}
	if !signed("--store", filepath.Join(dir, "up", "third"), "--trusted-root", filepath.Join(dir, "up", "trusted_root.json")) {
		t.Error("a root that was named is not believed")
	}
	if !signed() {
		t.Error("the root of the person's own seaworthy up is not believed")
	}
}

// TestPushesBeforeTheGraph: what was pushed while there was no graph is taken in when there is one.
func TestPushesBeforeTheGraph(t *testing.T) {
	dir := t.TempDir()
	p := openPort(t, dir, "127.0.0.1:0", allRoles&^graphRole)
	image, digest := p.pushImage(t, "shop/app:1")
	typed(t, 0, "oci", "attach", image, write(t, "a.cdx.json", shopBill(digest, "MIT")), "--type", "application/vnd.cyclonedx+json", "--quiet")
	if err := p.shut(); err != nil {
		t.Fatal(err)
	}
	p = openPort(t, dir, strings.TrimPrefix(p.url, "http://"), allRoles)
	p.untilDone(t, 3)
	store := filepath.Join(dir, "graph")
	if a := asked(t, "licences", image, "--store", store); len(a.Rows) != 1 || cell(a, a.Rows[0], "licence") != "MIT" {
		t.Errorf("%+v", a.Rows)
	}
	// Again, there is nothing to do.
	if err := p.shut(); err != nil {
		t.Fatal(err)
	}
	openPort(t, dir, strings.TrimPrefix(p.url, "http://"), allRoles)
	typed(t, 0, "graph", "jobs", "--wait", "--store", store)
}

// untilDone waits until the graph has as many documents, and nothing to do.
func (p *port) untilDone(t *testing.T, documents int64) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		s, err := p.graph.store.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if s.Documents >= documents && s.Jobs == 0 {
			return
		}
		if time.Now().After(deadline) {
			jobs, _ := p.graph.store.Jobs(t.Context(), 10)
			t.Fatalf("%d documents, jobs %+v", s.Documents, jobs)
		}
		time.Sleep(10 * time.Millisecond) // the store does not say when
	}
}

// TestCosignTagsAreFollowed: what cosign keeps at tags belongs to the image that the tag names, also when it comes late.
func TestCosignTagsAreFollowed(t *testing.T) {
	dir := t.TempDir()
	p := openPort(t, dir, "127.0.0.1:0", allRoles)
	image, digest := p.pushImage(t, "shop/app:1")
	store := []string{"--store", filepath.Join(dir, "graph")}
	typed(t, 0, append([]string{"graph", "jobs", "--wait"}, store...)...)
	keys := t.TempDir()
	t.Setenv("SEAWORTHY_PASSWORD", "canary-password")
	t.Chdir(keys)
	typed(t, 0, "keygen", "--name", "release")
	typed(t, 0, "sign", image, "--key", "release.key", "--legacy", "--quiet")
	typed(t, 0, append([]string{"graph", "jobs", "--wait"}, store...)...)
	a := asked(t, append([]string{"known", string(digest)}, store...)...)
	found := false
	for _, d := range a.Documents {
		found = found || d.Kind == seaworthy.SignatureDocument
	}
	if !found {
		t.Errorf("nothing tells of the signature: %+v", a.Documents)
	}
}

// gated is a body that says when it is first read, and comes when it may.
type gated struct {
	io.Reader
	once    sync.Once
	reached chan struct{} // closed by the first Read
	open    chan struct{}
}

func (g *gated) Read(b []byte) (int, error) {
	g.once.Do(func() { close(g.reached) })
	<-g.open
	return g.Reader.Read(b)
}

// TestIngestDrains: who interrupts a server while a document arrives loses nothing: it is taken in and acknowledged.
func TestIngestDrains(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr, dir := l.Addr().String(), t.TempDir()
	l.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	ready, say := io.Pipe()
	served := make(chan error, 1)
	go func() {
		a := newApp(nil, strings.NewReader(""), say, io.Discard)
		served <- a.serve(ctx, serveFlags{dir: dir, addr: addr, drain: 30 * time.Second}, graphRole)
		say.Close()
	}()
	if _, err := ready.Read(make([]byte, 1)); err != nil {
		t.Fatal("it did not start: ", <-served)
	}
	go io.Copy(io.Discard, ready) //nolint:errcheck // what else it says is not needed
	text := shopBill(seaworthy.SHA256([]byte("image")), "MIT")
	body := &gated{Reader: strings.NewReader(text), reached: make(chan struct{}), open: make(chan struct{})}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+"/api/graph/v1/documents", body)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = int64(len(text))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Expect", "100-continue") // so that the body is read once the server has begun to
	answered := make(chan string, 1)
	go func() {
		res, err := (&http.Transport{ExpectContinueTimeout: time.Minute}).RoundTrip(req)
		if err != nil {
			answered <- err.Error()
			return
		}
		res.Body.Close()
		answered <- res.Status
	}()
	<-body.reached
	interrupt()
	close(body.open)
	if got := <-answered; got != "201 Created" {
		t.Errorf("answered %s", got)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	store, err := graph.Open(t.Context(), filepath.Join(dir, "graph"), graph.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, err := store.Body(t.Context(), seaworthy.SHA256([]byte(text))); err != nil {
		t.Errorf("it was acknowledged: %v", err)
	}
}

// TestIngestIsInterrupted: who waits for stdin hears of Ctrl-C at once.
func TestIngestIsInterrupted(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	store := filepath.Join(t.TempDir(), "graph")
	cmd := exec.Command("seaworthy", "graph", "ingest", "-", "--store", store)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// It has taken the first bytes once the folder is there and a large write has gone through the pipe.
	if _, err := io.WriteString(stdin, strings.Repeat(" ", 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err = <-ended:
	case <-time.After(time.Minute):
		_ = cmd.Process.Kill()
		t.Fatal("it does not end")
	}
	if fmt.Sprint(err) != "exit status 130" {
		t.Errorf("%v: %s", err, said.String())
	}
	typed(t, 0, "graph", "check", "--store", store)
}
