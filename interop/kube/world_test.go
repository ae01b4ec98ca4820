//go:build kube

package kube

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seaworthy-dev/seaworthy/internal/makeimage"
)

// world is what the gate looks at beside the cluster: a registry, and keys that sign.
type world struct {
	dir, bin string
	registry *server
	host     string // of the registry
}

// sea is the world of all tests; each has repositories of its own in it.
var sea *world

// server is a process of the program that serves something.
type server struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has
	err   error         // of its end; read after ended
	mu    sync.Mutex    // guards what follows
	lines []string
	heard chan struct{} // closed and made anew with every line
}

// program is a command line of the program under test.
func program(ctx context.Context, bin, home string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Dir = home
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "SEAWORTHY_PASSWORD=", "SEAWORTHY_DATA_DIR=" + filepath.Join(home, "data"),
		"SEAWORTHY_CACHE_DIR=" + filepath.Join(home, "cache"), "XDG_CONFIG_HOME=" + filepath.Join(home, "config"), "NO_COLOR=1",
	}
	return cmd
}

// serve starts a server, whose end nobody waits for.
func serve(bin, home string, args ...string) (*server, error) {
	s := &server{cmd: program(context.Background(), bin, home, args...), ended: make(chan struct{}), heard: make(chan struct{})}
	endWithUs(s.cmd)
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.cmd.Stdout, s.cmd.Stderr = w, w
	err = s.cmd.Start()
	w.Close()
	if err != nil {
		r.Close()
		return nil, err
	}
	go func() {
		defer r.Close()
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			s.mu.Lock()
			s.lines = append(s.lines, lines.Text())
			close(s.heard)
			s.heard = make(chan struct{})
			s.mu.Unlock()
		}
		s.err = s.cmd.Wait()
		close(s.ended)
	}()
	return s, nil
}

// said is everything it wrote.
func (s *server) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

// says waits for a line that matches, from the first on, and returns its first group.
func (s *server) says(expression string) (string, error) {
	re := regexp.MustCompile(expression)
	end := time.After(60 * time.Second)
	for {
		s.mu.Lock()
		lines, heard := s.lines, s.heard
		s.mu.Unlock()
		for _, l := range lines {
			if m := re.FindStringSubmatch(l); m != nil {
				return m[len(m)-1], nil
			}
		}
		select {
		case <-heard:
		case <-s.ended:
			return "", fmt.Errorf("it ended (%w) without saying %q:\n%s", s.err, expression, s.said())
		case <-end:
			return "", fmt.Errorf("it does not say %q:\n%s", expression, s.said())
		}
	}
}

// stop interrupts it, as a person would.
func (s *server) stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-s.ended
	return nil
}

// kill ends it at once.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	<-s.ended
}

func startWorld(bin, dir string) (*world, error) {
	w := &world{dir: dir, bin: bin}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	for _, key := range []string{"release", "other"} {
		if out, err := program(context.Background(), bin, dir, "keygen", "--name", key).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("making a key: %w: %s", err, out)
		}
	}
	var err error
	if w.registry, err = serve(bin, dir, "registry", "serve", "--addr", "127.0.0.1:0", "--dir", filepath.Join(dir, "registry")); err != nil {
		return nil, err
	}
	w.host, err = w.registry.says(`registry is at (127\.0\.0\.1:\d+)`)
	return w, err
}

// run runs the program and wants it to succeed. It returns stdout.
func (w *world) run(t testing.TB, stdin string, args ...string) string {
	t.Helper()
	out, talk, status := w.try(t, stdin, args...)
	if status != 0 {
		t.Fatalf("seaworthy %s: exit status %d\n%s%s", strings.Join(args, " "), status, out, talk)
	}
	return out
}

// try runs the program.
func (w *world) try(t testing.TB, stdin string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := program(t.Context(), w.bin, w.dir, args...)
	var out, talk bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &talk
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), talk.String(), cmd.ProcessState.ExitCode()
}

// image pushes an image that differs from all others by its marker, and returns its name with the tag, and its digest.
func (w *world) image(t testing.TB, repository, tag, marker string) (name, digest string) {
	t.Helper()
	dir := t.TempDir()
	img, err := makeimage.Layout(dir, []makeimage.Layer{{History: "COPY " + marker, Files: []makeimage.File{{Path: "app", Body: []byte(marker)}}}},
		makeimage.Options{Name: "app:1", Labels: map[string]string{"marker": marker}})
	if err != nil {
		t.Fatal(err)
	}
	name = w.host + "/" + repository + ":" + tag
	w.run(t, "", "oci", "copy", "oci-dir:"+dir, name)
	return name, string(img.Digest())
}

// sign signs an image with a key.
func (w *world) sign(t testing.TB, image, key string) {
	t.Helper()
	w.run(t, "", "sign", image, "--key", key+".key")
}

// key is a public key, in PEM, indented for a YAML block.
func (w *world) key(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(w.dir, name+".pub"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// cip is a ClusterImagePolicy that wants images of a repository signed by the release key.
func (w *world) cip(t testing.TB, name, repository string) string {
	t.Helper()
	return fmt.Sprintf(`apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: %s}
spec:
  images: [{glob: "%s/%s**"}]
  authorities:
  - name: release
    key:
      data: |
        %s
`, name, w.host, repository, strings.ReplaceAll(w.key(t, "release"), "\n", "\n        "))
}

// gate starts a gate that is registered with the cluster, under the rights that the manifests give it.
func (w *world) gate(t testing.TB, args ...string) *server {
	t.Helper()
	s := w.start(t, shared, args...)
	if _, err := s.says(`the gate is registered`); err != nil {
		t.Fatal(err)
	}
	return s
}

// start starts a gate for a cluster. When the test ends it is stopped and its registration removed.
func (w *world) start(t testing.TB, c *cluster, args ...string) *server {
	t.Helper()
	s, err := serve(w.bin, w.dir, append([]string{
		"gate", "serve", "--kube", "--kubeconfig", c.kubeconfig("gate"), "--namespace", "seaworthy-system", "--addr", "127.0.0.1:0", "--no-match", "allow",
	}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("the gate said:\n%s", s.said())
		}
		c.unregister(t)
	})
	return s
}

// unregister removes the webhooks and everything else of the cluster as a whole that tests leave.
func (c *cluster) unregister(t testing.TB) {
	for _, what := range [][]string{
		{"validatingwebhookconfiguration,mutatingwebhookconfiguration", "seaworthy-gate"},
		{"validatingadmissionpolicy,validatingadmissionpolicybinding", "--all"},
		{"clusterimagepolicies,trustroots,verifiers,policies.seaworthy.dev", "--all"},
	} {
		// The test's own context has ended.
		cmd := exec.Command(filepath.Join(c.tools, "kubectl"), append([]string{"delete", "--ignore-not-found"}, what...)...)
		cmd.Env = append(os.Environ(), "KUBECONFIG="+c.kubeconfig("admin"), "HOME="+c.dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("kubectl delete %v: %v: %s", what, err, out)
		}
	}
}

// testdata is the full name of a file in testdata.
func testdata(t testing.TB, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// caBundle is what the API server was told to believe.
func (c *cluster) caBundle(t testing.TB) string {
	t.Helper()
	out := c.must(t, "", "get", "validatingwebhookconfiguration", "seaworthy-gate", "-o", "jsonpath={.webhooks[0].clientConfig.caBundle}")
	b, err := base64.StdEncoding.DecodeString(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// image is the image of the first container of what kubectl finds.
func (c *cluster) image(t testing.TB, namespace, what, path string) string {
	t.Helper()
	return c.must(t, "", "-n", namespace, "get", what, "-o", "jsonpath={"+path+"}")
}

func writeFile(t testing.TB, name, body string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
}

// quoted is a string in JSON.
func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // every string can be written
	}
	return string(b)
}

// serving is the certificate in the gate's secret.
func (c *cluster) serving(t testing.TB) string {
	t.Helper()
	return c.must(t, "", "-n", "seaworthy-system", "get", "secret", "seaworthy-gate-tls", "-o", `jsonpath={.data.tls\.crt}`)
}

// removeCertificate removes the gate's secret when a test ends that wanted one of a short life.
func (c *cluster) removeCertificate(t testing.TB) {
	cmd := exec.Command(filepath.Join(c.tools, "kubectl"), "-n", "seaworthy-system", "delete", "secret", "seaworthy-gate-tls", "--ignore-not-found")
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.kubeconfig("admin"), "HOME="+c.dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("removing the certificate: %v: %s", err, out)
	}
}
