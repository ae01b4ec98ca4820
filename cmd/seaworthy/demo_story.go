package main

import (
	"bufio"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

// demoAdvisories are a few real advisories, in words of our own, about what is in the demo image.
//
//go:embed demo/*.json
var demoAdvisories embed.FS

// story is the demo: command lines that anybody could type, with what they print.
type story struct {
	app  *app
	ctx  context.Context //nolint:containedctx // a story is told in one call
	dir  string
	stay bool // the services are kept when it is told
	// token proves an identity to the story's own services.
	token string
}

func (s *story) path(name string) string { return filepath.Join(s.dir, name) }

// tell runs the whole story.
func (s *story) tell() error {
	if err := s.writeAdvisories(s.path("advisories")); err != nil {
		return err
	}
	image := s.path("image")
	for _, step := range []struct {
		about string
		args  []string
	}{
		{"What is in it, layer by layer", []string{"inspect", image, "-o", "text", "-o", "html=" + s.path("inspect.html")}},
		{"Its bill, in three formats", []string{
			"sbom", image,
			"-o", "spdx-json=" + s.path("seaworthy.spdx.json"), "-o", "spdx3-json=" + s.path("seaworthy.spdx3.json"), "-o", "cyclonedx-json=" + s.path("seaworthy.cdx.json"),
		}},
		{"Does the bill have what it must?", []string{"sbom", "check", s.path("seaworthy.spdx.json"), "--standard", "ntia"}},
		{"Advisories become one file", []string{"advisories", "build", "--from", s.path("advisories"), "-o", s.path("advisories.db")}},
		{"What is wrong with it?", []string{"scan", image, "--advisories", s.path("advisories.db"), "-o", "table", "-o", "html=" + s.path("scan.html")}},
	} {
		if err := s.run(step.about, step.args...); err != nil {
			return err
		}
	}
	return s.withServices(func(base string) error {
		if err := s.servicesPart(base); err != nil {
			return err
		}
		if err := s.graphPart(base); err != nil {
			return err
		}
		if err := s.gatePart(base); err != nil {
			return err
		}
		return s.end(base)
	})
}

// demoImageName is the image in the registry of the story.
func demoImageName(base string) string {
	return strings.TrimPrefix(base, "http://") + "/demo/seaworthy:latest"
}

// graphPart is told when everything is in the registry: from there it has come into the graph by itself.
func (s *story) graphPart(base string) error {
	image, store := demoImageName(base), []string{"--store", s.path("up/graph")}
	for _, step := range []struct {
		about string
		args  []string
	}{
		{"All that was pushed is evidence now, and can be asked", []string{"graph", "jobs", "--wait"}},
		{"", []string{"graph", "stats"}},
		{"What is wrong with the image, and who says so?", []string{"graph", "vulns", image}},
		{"Which images would a bad minimist hit?", []string{"graph", "impact", "pkg:npm/minimist@1.2.5"}},
		{"Where does the image come from? What is missing is an answer, too", []string{"graph", "provenance", image, "-o", "tree"}},
		{"", []string{"graph", "missing", image}},
	} {
		if err := s.run(step.about, append(step.args, store...)...); err != nil {
			return err
		}
	}
	return nil
}

// end says where to look on, and waits there if asked to.
func (s *story) end(base string) error {
	out := s.app.stdout
	s.heading("Look at the reports in a browser")
	fmt.Fprintf(out, "%s\n%s\n", s.path("inspect.html"), s.path("scan.html"))
	s.heading("And at the image's page, with all of this and who says so")
	if !s.stay {
		s.show([]string{"up", "--dir", s.path("up"), "--addr", strings.TrimPrefix(base, "http://"), "--advisories", s.path("advisories.db")})
	}
	if _, err := fmt.Fprintf(out, "%s/artifact?subject=%s\n", base, demoImageName(base)); err != nil || !s.stay {
		return seaworthy.Wrap(err, seaworthy.Storage, "writing the story")
	}
	s.app.note("it is served until it is interrupted (Ctrl-C)")
	<-s.ctx.Done()
	return nil
}

// The identity that signs in the story, and one that does not.
const (
	demoIdentity  = "you@example.com"
	demoStranger  = "eve@example.com"
	demoIssuer    = "/oidc"
	demoTokenPath = demoIssuer + "/token?email=" + demoIdentity
)

// servicesPart is told while registry, CA, log and time stamps are served at base.
func (s *story) servicesPart(base string) error {
	var err error
	if s.token, err = s.fetchToken(base + demoTokenPath); err != nil {
		return err
	}
	image := demoImageName(base)
	signing := []string{"--signing-config", s.path("up/signing_config.json")}
	signedBy := func(who string, more ...string) []string {
		args := append([]string{"verify", image}, more...)
		return append(args, "--certificate-identity", who, "--certificate-oidc-issuer", base+demoIssuer, "--trusted-root", s.path("up/trusted_root.json"))
	}
	for _, step := range []struct {
		about string
		args  []string
	}{
		{"Where it lives: push it, and let its bill travel with it", []string{"oci", "push", image, s.path("image")}},
		{"", []string{"oci", "attach", image, s.path("seaworthy.cdx.json"), "--type", "application/vnd.cyclonedx+json"}},
		{"Who says so? Sign it without a key of your own", append([]string{"sign", image}, signing...)},
		{"And say under oath what is in it", append([]string{"attest", image, "--predicate", s.path("seaworthy.spdx.json"), "--type", "spdx"}, signing...)},
		{"Everything that refers to it", []string{"oci", "discover", image}},
		{"Check the signature, and the attestation", signedBy(demoIdentity)},
		{"", signedBy(demoIdentity, "--type", "spdx")},
	} {
		if err := s.run(step.about, step.args...); err != nil {
			return err
		}
	}
	err = s.run("Somebody else did not sign it", signedBy(demoStranger)...)
	if code := seaworthy.CodeOf(err); code != seaworthy.Unmatched {
		return seaworthy.Errorf(seaworthy.Internal, "a stranger's signature was asked for and the answer is %q: %w", code, err)
	}
	console.PrintError(s.app.stdout, err, false)
	return nil
}

// fetchToken gets an identity token from the services' own issuer for trying things out.
func (s *story) fetchToken(address string) (string, error) {
	fmt.Fprintf(s.app.stdout, "%s\n", s.app.stdout.Paint(console.Dim, `$ export SEAWORTHY_IDENTITY_TOKEN="$(curl -fsS '`+address+`')"`))
	req, err := http.NewRequestWithContext(s.ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", seaworthy.Wrap(err, seaworthy.Internal, "asking for a token")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", seaworthy.Wrap(err, seaworthy.Unavailable, "asking for a token")
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil || res.StatusCode != http.StatusOK {
		return "", seaworthy.Errorf(seaworthy.Unavailable, "asking for a token: status %s: %w", res.Status, err)
	}
	return strings.TrimSpace(string(body)), nil
}

func (s *story) heading(about string) {
	fmt.Fprintf(s.app.stdout, "\n%s\n", s.app.stdout.Paint(console.Bold, "# "+about))
}

// run executes one command line as if it had been typed, but keeps its cache in the story's folder.
func (s *story) run(about string, args ...string) error {
	if about != "" {
		s.heading(about)
	}
	s.show(args)
	return s.execute(s.ctx, s.app.stdout.Writer, s.app.stderr.Writer, args)
}

func (s *story) show(args []string) {
	fmt.Fprintf(s.app.stdout, "%s\n", s.app.stdout.Paint(console.Dim, "$ seaworthy "+strings.Join(args, " ")))
}

func (s *story) execute(ctx context.Context, stdout, stderr io.Writer, args []string) error {
	next := newApp(args, s.app.stdin, stdout, stderr)
	next.getenv = func(name string) string {
		switch name {
		case "SEAWORTHY_CACHE_DIR":
			return s.path("cache")
		case "SEAWORTHY_COLOR":
			return string(s.app.colour)
		case "SEAWORTHY_IDENTITY_TOKEN":
			return s.token
		}
		return s.app.getenv(name)
	}
	root := newRoot(next)
	next.noteStart(root)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	next.progress.Close()
	return next.classify(ctx, err)
}

// writeAdvisories puts the advisories where a person can read them.
func (s *story) writeAdvisories(dir string) error {
	files, err := demoAdvisories.ReadDir("demo")
	if err != nil {
		return seaworthy.Wrap(err, seaworthy.Internal, "reading the demo's advisories")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return seaworthy.Wrap(err, seaworthy.Storage, "making %q", dir)
	}
	for _, f := range files {
		body, err := demoAdvisories.ReadFile("demo/" + f.Name())
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, f.Name()), body, 0o644)
		}
		if err != nil {
			return seaworthy.Wrap(err, seaworthy.Storage, "writing the demo's advisories")
		}
	}
	return nil
}

// withServices runs "seaworthy up" on loopback, at any free port, while part runs.
func (s *story) withServices(part func(base string) error) error {
	// A log's name is its address, for good: a story that is told again is told at the same one.
	addr := "127.0.0.1:0"
	if earlier, err := os.ReadFile(s.path("address")); err == nil {
		addr = strings.TrimSpace(string(earlier))
	}
	args := []string{"up", "--dir", s.path("up"), "--addr", addr, "--advisories", s.path("advisories.db"), "--quiet"}
	s.heading("The services that signing needs, and the evidence graph, in this process")
	s.show(args)
	ctx, stop := context.WithCancel(s.ctx)
	defer stop()
	said, say := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := s.execute(ctx, say, s.app.stderr.Writer, args)
		say.CloseWithError(io.EOF)
		ended <- err
	}()
	base := ""
	lines := bufio.NewScanner(said)
	for base == "" && lines.Scan() { // the lines that it prints when it is ready
		if at := strings.Index(lines.Text(), "http://"); at >= 0 {
			if end := strings.Index(lines.Text()[at:], demoIssuer); end >= 0 {
				base = lines.Text()[at : at+end]
			}
		}
	}
	if base == "" {
		stop()
		return errors.Join(seaworthy.Errorf(seaworthy.Internal, "the services did not say where they are"), <-ended)
	}
	go io.Copy(io.Discard, said) //nolint:errcheck // what else it prints is not needed
	err := os.WriteFile(s.path("address"), []byte(strings.TrimPrefix(base, "http://")+"\n"), 0o644)
	if err = seaworthy.Wrap(err, seaworthy.Storage, "remembering the address of the services"); err == nil {
		err = part(base)
	}
	stop()
	if stopped := <-ended; seaworthy.CodeOf(stopped) != seaworthy.Interrupted {
		err = errors.Join(err, stopped)
	}
	return err
}
