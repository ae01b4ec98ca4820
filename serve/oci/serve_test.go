package oci

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seaworthy-dev/seaworthy/engine/registry"
	"github.com/seaworthy-dev/seaworthy/internal/durable"
	"github.com/seaworthy-dev/seaworthy/store/repo"
)

func encodeBasic(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}

// TestPagesOfOthersAreKeptOut: a browser on this machine can reach a registry that asks nobody who they are.
func TestPagesOfOthersAreKeptOut(t *testing.T) {
	w := newWorld(t)
	post := func(header ...string) ask {
		return ask{method: "POST", path: "/v2/a/blobs/uploads/", header: header}
	}
	for name, c := range map[string]struct {
		ask    ask
		status int
	}{
		"a client":        {post(), 202},
		"localhost":       {post("Host: localhost:5000"), 202},
		"a rebound name":  {post("Host: evil.example"), 403},
		"reading, too":    {ask{method: "GET", path: "/v2/", header: []string{"Host: evil.example:5000"}}, 403},
		"another origin":  {post("Origin: https://evil.example"), 403},
		"cross-site":      {post("Sec-Fetch-Site: cross-site"), 403},
		"our own page":    {post("Sec-Fetch-Site: same-origin"), 202},
		"health of a pod": {ask{method: "GET", path: "/livez", header: []string{"Host: evil.example"}}, 403},
	} {
		if got := w.do(c.ask); got.StatusCode != c.status {
			t.Errorf("%s: %d, want %d", name, got.StatusCode, c.status)
		}
	}
	w = newWorld(t, withAuth(t, nil, time.Now))
	w.must(200, ask{method: "GET", path: "/v2/", header: []string{"Host: registry.example", basic("alice")}})
}

func TestHealthAndMetrics(t *testing.T) {
	disk := &durable.Disk{}
	now := time.Now()
	w := newWorld(t, withDisk(disk), func(w *world) { w.rules.Now = func() time.Time { return now } })
	w.pushBlob("secret-name", "blob")
	w.must(200, ask{method: "GET", path: "/livez"})
	w.must(200, ask{method: "GET", path: "/readyz"})
	got := w.must(200, ask{method: "GET", path: "/metrics"})
	for _, want := range []string{
		`seaworthy_registry_requests_total{endpoint="uploads",method="POST",status="201"} 1`,
		"seaworthy_registry_received_bytes_total 4", "seaworthy_registry_writable 1", "seaworthy_registry_requests_in_flight 1",
	} {
		if !strings.Contains(got.body, want) {
			t.Errorf("/metrics lacks %s:\n%s", want, got.body)
		}
	}
	if strings.Contains(got.body, "secret-name") {
		t.Error("/metrics names repositories")
	}
	disk.Fault = func(string, string) error { return syscall.EIO }
	now = now.Add(time.Minute)
	w.must(503, ask{method: "GET", path: "/readyz"})
	w.must(200, ask{method: "GET", path: "/livez"})
	disk.Fault = nil
	now = now.Add(time.Minute)
	w.must(200, ask{method: "GET", path: "/readyz"})
}

// TestFullDisk: refused with the right status, nothing half there, pulls go on, deletes make room, pushes resume.
func TestFullDisk(t *testing.T) {
	disk := &durable.Disk{}
	w := newWorld(t, withDisk(disk))
	d := w.pushBlob("a", "old")
	w.pushManifest("a", "1", image(d, ""))
	upload := w.must(202, ask{method: "POST", path: "/v2/a/blobs/uploads/"}).Header.Get("Location")
	full := true
	disk.Fault = func(op, _ string) error {
		if full && (op == durable.OpWrite || op == durable.OpSync) {
			return syscall.ENOSPC
		}
		return nil
	}
	blob := ask{method: "POST", path: "/v2/a/blobs/uploads/?digest=" + string(sha("new")), body: "new"}
	put := ask{method: "PUT", path: "/v2/a/manifests/1", header: []string{"Content-Type: " + ociManifest}, body: image(sha("new"), "")}
	for _, a := range []ask{blob, put, {method: "PATCH", path: upload, body: "x"}, {method: "POST", path: "/v2/a/blobs/uploads/"}} {
		got := w.must(507, a)
		if !strings.Contains(got.body, "STORAGE_FULL") || strings.Contains(got.body, w.dir) {
			t.Error(got.body)
		}
	}
	w.must(404, ask{method: "GET", path: "/v2/a/blobs/" + string(sha("new"))})
	if got := w.must(200, ask{method: "GET", path: "/v2/a/manifests/1"}); got.body != image(d, "") {
		t.Error("the tag moved to what was refused")
	}
	w.must(200, ask{method: "GET", path: "/v2/a/blobs/" + string(d)})
	full = false
	w.must(201, blob)
	w.must(201, put)
	if _, err := w.r.Collect(t.Context(), registry.CollectOptions{Grace: -1, Untagged: true}); err != nil {
		t.Error(err)
	}
	w.must(404, ask{method: "GET", path: "/v2/a/blobs/" + string(d)}) // no manifest uses it any more
	w.must(200, ask{method: "GET", path: "/v2/a/blobs/" + string(sha("new"))})
}

// TestDrain: what is under way when the server is told to stop is finished and kept; nobody new is let in.
func TestDrain(t *testing.T) {
	w := newWorld(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.h.Serve(ctx, w.h.Server(), l, 20*time.Second) }()

	d := sha("first second")
	c := sendHeader(t, l.Addr().String(), "/v2/a/blobs/uploads/?digest="+string(d), 12)
	defer c.Close()
	if _, err := io.WriteString(c, "first "); err != nil {
		t.Fatal(err)
	}
	stop()
	<-w.h.leaving
	for { // until the listener is closed
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			break
		}
		c.Close()
	}
	if _, err := io.WriteString(c, "second"); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 201") {
		t.Errorf("what was under way got %q, %v", b, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	w.must(200, ask{method: "GET", path: "/v2/a/blobs/" + string(d)})
	w.must(503, ask{method: "GET", path: "/readyz"})
}

// sendHeader begins a POST and returns when the handler is reading its body.
func sendHeader(t *testing.T, addr, path string, length int) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", path, length)
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	const proceed = "HTTP/1.1 100 Continue\r\n\r\n"
	if b := make([]byte, len(proceed)); true {
		if _, err := io.ReadFull(c, b); err != nil || string(b) != proceed {
			t.Fatalf("%q, %v", b, err)
		}
	}
	return c
}

func TestStoppingHasAnEnd(t *testing.T) {
	w := newWorld(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.h.Serve(ctx, w.h.Server(), l, 50*time.Millisecond) }()
	defer sendHeader(t, l.Addr().String(), "/v2/a/blobs/uploads/?digest="+string(sha("x")), 100).Close()
	stop()
	if err := <-ended; err == nil {
		t.Error("it ended well with a request under way")
	}
}

// TestSilentClient: a body that stops coming is given up.
func TestSilentClient(t *testing.T) {
	w := newWorld(t, func(w *world) { w.http.Idle = 50 * time.Millisecond })
	c, err := net.Dial("tcp", w.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "POST /v2/a/blobs/uploads/?digest="+string(sha("x"))+" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx"); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 400") {
		t.Errorf("%q, %v", b, err)
	}
}

// TestListenerHearsOfEveryPush, also when it fails, and after a restart.
func TestListenerHearsOfEveryPush(t *testing.T) {
	heard := make(chan repo.Event)
	deaf := true
	w := newWorld(t, func(w *world) {
		w.rules.Listener = func(ctx context.Context, e repo.Event) error {
			if deaf {
				return errors.New("not now")
			}
			select {
			case heard <- e:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	first := w.pushManifest("a", "1", image(sha("x"), ""))
	if list, err := w.r.Unheard(10); err != nil || len(list) != 1 || list[0].Digest != first {
		t.Errorf("unheard: %+v, %v", list, err)
	}
	w.close() // it was acknowledged, and nobody has heard of it
	deaf = false
	w.start()
	second := w.pushManifest("a", "2", image(sha("y"), subject(first)))
	if e := <-heard; e.Digest != first || e.Repository != "a" || e.Tags[0] != "1" {
		t.Errorf("%+v", e)
	}
	if e := <-heard; e.Digest != second || e.Subject != first || e.MediaType != ociManifest {
		t.Errorf("%+v", e)
	}
}
