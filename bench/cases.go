package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// The programs measured, as make bench builds them.
const (
	seaworthy = "bin/seaworthy"
	limit     = ".cache/bench/limit"
)

// workDir is where measured programs write.
const workDir = ".cache/bench"

// images is where the real images are: see interop/images.
func images() string {
	if dir := os.Getenv("SEAWORTHY_IMAGES"); dir != "" {
		return dir
	}
	return ".cache/images"
}

func noImages() string {
	if _, err := os.Stat(filepath.Join(images(), "debian-fat", "index.json")); err != nil {
		return "there are no images in `" + images() + "`; `make images` makes them (as root, 5 minutes)"
	}
	return ""
}

func syft() string {
	if name := os.Getenv("SYFT"); name != "" {
		return name
	}
	return "syft"
}

const installSyft = "go install github.com/anchore/syft/cmd/syft@v1.54.1"

// groups are all the figures, in the order in which PERFORMANCE.md shows them.
func groups() []group {
	return []group{
		{
			title: "Start", runs: 21,
			about: "What every call pays.",
			figures: []figure{
				{name: "`seaworthy version`", argv: []string{seaworthy, "version"}, bar: "≤ 50 ms, ≤ 64 MB"},
				{name: "`seaworthy --help`", argv: []string{seaworthy, "--help"}, bar: "≤ 50 ms, ≤ 64 MB"},
			},
		},
		imageGroup("debian-fat", "A Debian image with Python, Node.js, a JDK and Maven: two layers, 223 MB stored, 607 MB of files."),
		imageGroup("debian-steps", "The same Debian, and fifteen apt steps on top of it: sixteen layers."),
		advisoryGroup(),
		signingGroup(),
		graphGroup(),
		gateGroup(),
		{
			title: "Where it lives",
			about: "One blob of 200 MB into the registry and back, next to the least that must be done with its bytes, on the same disk.",
			own:   []string{".cache/bench/registry", "-program", seaworthy, "-dir", workDir},
		},
	}
}

// advisories is where real advisory data is.
func advisories(name string) string {
	dir := os.Getenv("SEAWORTHY_ADVISORY_DATA")
	if dir == "" {
		dir = "../shared/data"
	}
	return filepath.Join(dir, name)
}

// advisoryGroup builds a database of real advisories and matches a real image with it.
func advisoryGroup() group {
	db := filepath.Join(workDir, "advisories.db")
	target := "oci-dir:" + filepath.Join(images(), "debian-fat")
	warm := "SEAWORTHY_CACHE_DIR=" + filepath.Join(workDir, "warm")
	g := group{
		title: "What is wrong with it", runs: 5,
		about: "The Go and PyPI advisories and CISA's list of exploited vulnerabilities, 6,925 records; the image is debian-fat, its layers known.",
		missing: func() string {
			if _, err := os.Stat(advisories("osv/go.zip")); err != nil {
				return "there is no advisory data in `" + advisories("") + "`; SEAWORTHY_ADVISORY_DATA names a directory with osv/go.zip, osv/pypi-yaml.zip and kev"
			}
			return ""
		},
		figures: []figure{
			{
				name: "`advisories build`", bar: "≤ 30 s",
				argv: []string{seaworthy, "advisories", "build", "--from", advisories("osv/go.zip"), "--from", advisories("osv/pypi-yaml.zip"), "--from", advisories("kev"), "-o", db},
			},
		},
		inside: []inside{
			{name: "Open", folder: "./engine/match", what: "opening the database", bar: "≤ 10 ms"},
			{name: "Match", folder: "./engine/match", what: "opening it and matching 2,282 packages", bar: "≤ 50 ms, ≤ 64 MB"},
		},
	}
	if noImages() == "" {
		g.figures = append(g.figures, figure{name: "`scan` of debian-fat, again", argv: []string{seaworthy, "scan", target, "--advisories", db, "-o", "json"}, env: []string{warm}})
		g.inside = append(g.inside, inside{name: "Scan", folder: "./interop/images", what: "matching the packages of debian-fat", bar: "≤ 50 ms, ≤ 64 MB", options: []string{"-tags", "images"}})
	}
	return g
}

// imageGroup compares the reading of one image with the least that reading costs, and with a peer.
func imageGroup(image, about string) group {
	target := "oci-dir:" + filepath.Join(images(), image)
	cold := filepath.Join(workDir, "cold")
	warm := "SEAWORTHY_CACHE_DIR=" + filepath.Join(workDir, "warm")
	return group{
		title: "What is in " + image, runs: 5, missing: noImages,
		about: about + " The limit is a program that only decompresses the layers, hashes them and walks their tar headers (`bench/limit`), two at a time.",
		figures: []figure{
			{name: "the limit", argv: []string{limit, target}},
			{name: "`inspect`", argv: []string{seaworthy, "inspect", "--no-cache", target}, over: "the limit", bar: "≤ 1.5 × the limit's CPU, ≤ 96 MB"},
			{name: "`sbom -o spdx-json`", argv: []string{seaworthy, "sbom", "--no-cache", target, "-o", "spdx-json"}, over: "the limit", bar: "≤ 1.5 × the limit's CPU, ≤ 96 MB"},
			{
				name: "`sbom`, keeping the layers", argv: []string{seaworthy, "sbom", target, "-o", "spdx-json"}, over: "the limit",
				env: []string{"SEAWORTHY_CACHE_DIR=" + cold}, before: func() error { return os.RemoveAll(cold) },
			},
			{name: "`inspect` again", argv: []string{seaworthy, "inspect", target}, env: []string{warm}, over: "the limit", bar: "≤ 100 ms"},
			{name: "`sbom` again", argv: []string{seaworthy, "sbom", target, "-o", "spdx-json"}, env: []string{warm}, over: "the limit", bar: "≤ 100 ms"},
			{
				name: "syft", argv: []string{syft(), "scan", target, "-q", "-o", "spdx-json"}, over: "the limit", optional: installSyft,
				env: []string{"SYFT_CHECK_FOR_APP_UPDATE=false"},
			},
		},
	}
}

// signingGroup signs a file with the authorities of seaworthy up, from token to bundle, and measures its parts.
func signingGroup() group {
	file := filepath.Join(workDir, "signed.txt")
	dir := filepath.Join(workDir, "up")
	bundle := file + ".sigstore.json"
	g := group{
		title: "Who says so", runs: 21,
		about: "The authorities run beside the client, on the same two processors. Signing is the whole way: key, certificate, log entry with its proof, time stamp, bundle.",
		setup: func() (func(), error) {
			if err := errors.Join(os.MkdirAll(workDir, 0o755), os.RemoveAll(dir), os.WriteFile(file, []byte("a file\n"), 0o644)); err != nil {
				return nil, err
			}
			return startUp(dir)
		},
		figures: []figure{
			{name: "`sign` a file, keyless", argv: []string{seaworthy, "sign", file, "--bundle", bundle, "--signing-config", filepath.Join(dir, "signing_config.json")}, bar: "≤ 200 ms (goal 150)"},
			{
				name: "`verify` it", bar: "≤ 60 ms",
				argv: []string{
					seaworthy, "verify", file, "--bundle", bundle, "--trusted-root", filepath.Join(dir, "trusted_root.json"),
					"--certificate-identity", "you@example.com", "--certificate-oidc-issuer-regexp", "^http://127.0.0.1:",
				},
			},
		},
		inside: []inside{
			{name: "Submit", folder: "./serve/rekor", what: "one of 64 clients' log entries, durable before the answer", bar: "≥ 3,000 entries/s, p99 ≤ 1 s", options: []string{"-benchtime", "20000x"}},
		},
	}
	if _, err := os.Stat(advisories("sigstore")); err == nil {
		for _, vector := range []string{"happy-path-v0.3", "rekor2-happy-path"} {
			g.inside = append(g.inside, inside{name: "VerifyWarm/warm/" + vector, folder: "./trust/bundle", what: "verifying a bundle (" + vector + ") again", bar: "≤ 1 ms CPU"})
		}
	}
	return g
}

// gateGroup asks a gate about pods of three images: by HTTP/2 over TLS at a steady rate, and without the network.
func gateGroup() group {
	return group{
		title: "At the door",
		about: "An AdmissionReview of a pod with three images that a key signed, in a registry on this machine. Warm: judged before. Cold: " +
			"both phases, from nothing. Answers count from when they were due, also when the gate does not keep up.",
		inside: []inside{
			{name: "Warm", folder: "./serve/hook", what: "a warm review, 500 a second", bar: "p99 ≤ 5 ms", options: []string{"-benchtime", "5000x"}},
			{name: "Judged", folder: "./serve/hook", what: "the work of a warm review, without the network", bar: "–"},
			{name: "Cold", folder: "./serve/hook", what: "a cold review, by tag", bar: "≤ 150 ms"},
		},
	}
}

// startUp runs seaworthy up until stop is called, and puts a token for it into the environment.
func startUp(dir string) (stop func(), err error) {
	ctx, cancel := context.WithCancel(context.Background())
	up := exec.CommandContext(ctx, seaworthy, "up", "--quiet", "--dir", dir, "--addr", "127.0.0.1:0")
	up.Cancel = func() error { return up.Process.Signal(syscall.SIGTERM) }
	said, err := up.StdoutPipe()
	if err == nil {
		err = up.Start()
	}
	if err != nil {
		cancel()
		return nil, err
	}
	stop = func() { cancel(); _ = up.Wait() }
	for lines := bufio.NewScanner(said); lines.Scan(); {
		_, rest, ok := strings.Cut(lines.Text(), "curl -fsS '")
		address, _, closed := strings.Cut(rest, "'")
		if !ok || !closed {
			continue
		}
		go io.Copy(io.Discard, said) //nolint:errcheck // what else it says is not needed
		res, err := http.Get(address)
		if err != nil {
			stop()
			return nil, err
		}
		defer res.Body.Close()
		token, err := io.ReadAll(res.Body)
		if err != nil {
			stop()
			return nil, err
		}
		return stop, os.Setenv("SEAWORTHY_IDENTITY_TOKEN", strings.TrimSpace(string(token)))
	}
	stop()
	return nil, errors.New("seaworthy up did not say where it is")
}
