// Command registry measures pushing and pulling one large blob through "seaworthy registry serve", next to the
// least that must be done with its bytes (read, hash, write, fsync) and to Debian's docker-registry when it is
// installed. All take turns in one run, on the same disk; the figures are medians.
//
//	go run ./bench/registry -program bin/seaworthy -dir .cache/bench
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	program := flag.String("program", "bin/seaworthy", "the program to measure")
	dir := flag.String("dir", ".cache/bench", "folder on the disk to measure; what is made in it is removed")
	size := flag.Int64("size", 200_000_000, "bytes of the blob")
	rounds := flag.Int("rounds", 7, "how often each is measured")
	flag.Parse()
	if err := run(*program, *dir, *size, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "registry:", err)
		os.Exit(1)
	}
}

// contender is a way to get bytes onto the disk or back, and how long it took each time.
type contender struct {
	name  string
	do    func(round int) error
	times []time.Duration
}

func run(program, dir string, size int64, rounds int) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(dir, "registry-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)

	b := &bench{work: work, size: size, rounds: rounds}
	if err := b.makeBlobs(); err != nil {
		return err
	}
	contenders := []*contender{{name: "read, hash, write, fsync", do: b.limit}}
	ours, err := startServer(work, "seaworthy", exec.Command(program, "registry", "serve", "--quiet", "--dir", filepath.Join(work, "ours"), "--addr"))
	if err != nil {
		return err
	}
	defer ours.stop()
	contenders = append(contenders, b.contenders("seaworthy", ours)...)
	servers := []*server{ours}
	if peer, err := startPeer(work); err == nil {
		defer peer.stop()
		contenders = append(contenders, b.contenders("docker-registry", peer)...)
		servers = append(servers, peer)
	} else {
		fmt.Fprintln(os.Stderr, "*** docker-registry is not measured:", err)
	}
	for round := range rounds {
		for _, c := range contenders {
			syscall.Sync() // nobody pays for what another left to be written
			start := time.Now()
			if err := c.do(round); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			c.times = append(c.times, time.Since(start))
		}
	}
	report(contenders, servers, size)
	return nil
}

func report(contenders []*contender, servers []*server, size int64) {
	limit := median(contenders[0].times)
	fmt.Printf("| %d MB | median | MB/s | of the limit | bar |\n|---|---|---|---|---|\n", size/1e6)
	for i, c := range contenders {
		m, bar := median(c.times), ""
		if strings.HasPrefix(c.name, "seaworthy") {
			bar = "≥ 80 %"
		}
		share := fmt.Sprintf("%.0f %%", 100*float64(limit)/float64(m))
		if i == 0 {
			share = "the limit"
		}
		fmt.Printf("| %s | %d ms | %.0f | %s | %s |\n", c.name, m.Milliseconds(), float64(size)/1e6/m.Seconds(), share, bar)
	}
	for _, s := range servers {
		bar := ""
		if s.name == "seaworthy" {
			bar = ", bar ≤ 64 MB"
		}
		fmt.Printf("\nPeak memory of the %s process: %.0f MB%s.\n", s.name, float64(s.peak())/1e6, bar)
	}
}

func median(d []time.Duration) time.Duration {
	d = slices.Clone(d)
	slices.Sort(d)
	return d[len(d)/2]
}

type bench struct {
	work    string
	size    int64
	rounds  int
	digests []string
}

func (b *bench) file(round int) string { return filepath.Join(b.work, fmt.Sprintf("blob-%d", round)) }

// makeBlobs writes a blob for each round: the same one again would only be recognised.
func (b *bench) makeBlobs() error {
	for round := range b.rounds {
		f, err := os.Create(b.file(round))
		if err != nil {
			return err
		}
		sum := sha256.New()
		seed := [32]byte{byte(round), 1}
		_, err = io.CopyN(io.MultiWriter(f, sum), rand.NewChaCha8(seed), b.size)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		b.digests = append(b.digests, "sha256:"+hex.EncodeToString(sum.Sum(nil)))
	}
	return nil
}

// limit is the plain program.
func (b *bench) limit(round int) error {
	in, err := os.Open(b.file(round))
	if err != nil {
		return err
	}
	defer in.Close()
	return b.keep(in, b.digests[round])
}

// keep hashes and stores what r gives, and throws it away again.
func (b *bench) keep(r io.Reader, digest string) error {
	out, err := os.CreateTemp(b.work, "out-")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name())
	sum := sha256.New()
	if err := copyAndHash(out, r, sum); err != nil {
		return err
	}
	if got := "sha256:" + hex.EncodeToString(sum.Sum(nil)); got != digest {
		return fmt.Errorf("got %s, want %s", got, digest)
	}
	return errors.Join(out.Sync(), out.Close())
}

func copyAndHash(w io.Writer, r io.Reader, sum hash.Hash) error {
	buf := make([]byte, 1<<20)
	for {
		n, err := r.Read(buf)
		sum.Write(buf[:n])
		if _, werr := w.Write(buf[:n]); werr != nil {
			return werr
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (b *bench) contenders(name string, s *server) []*contender {
	return []*contender{
		{name: name + " push", do: func(round int) error { return b.push(s, round) }},
		{name: name + " pull", do: func(round int) error { return b.pull(s, round) }},
	}
}

func (b *bench) push(s *server, round int) error {
	resp, err := s.client.Post(s.url+"/v2/bench/blobs/uploads/", "", nil)
	if err != nil {
		return err
	}
	resp.Body.Close()
	where, err := resp.Location()
	if err != nil {
		return err
	}
	q := where.Query()
	q.Set("digest", b.digests[round])
	where.RawQuery = q.Encode()
	f, err := os.Open(b.file(round))
	if err != nil {
		return err
	}
	defer f.Close()
	req, err := http.NewRequest(http.MethodPut, where.String(), f)
	if err != nil {
		return err
	}
	req.ContentLength = b.size
	if resp, err = s.client.Do(req); err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		return errors.New(resp.Status)
	}
	return nil
}

func (b *bench) pull(s *server, round int) error {
	resp, err := s.client.Get(s.url + "/v2/bench/blobs/" + b.digests[round])
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return b.keep(resp.Body, b.digests[round])
}

// server is a registry in a process of its own.
type server struct {
	name, url string
	cmd       *exec.Cmd
	client    *http.Client
}

// startServer starts a command that ends with the flag for its address.
func startServer(work, name string, cmd *exec.Cmd) (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().String()
	l.Close()
	if cmd.Args[len(cmd.Args)-1] == "--addr" {
		cmd.Args = append(cmd.Args, addr)
	} else {
		cmd.Env = append(os.Environ(), "REGISTRY_HTTP_ADDR="+addr)
	}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{name: name, url: "http://" + addr, cmd: cmd, client: &http.Client{Transport: &http.Transport{WriteBufferSize: 256 << 10, ReadBufferSize: 256 << 10}}}
	for start := time.Now(); time.Since(start) < 20*time.Second; time.Sleep(20 * time.Millisecond) {
		if resp, err := http.Get(s.url + "/v2/"); err == nil {
			resp.Body.Close()
			return s, nil
		}
	}
	s.stop()
	return nil, fmt.Errorf("%s does not answer at %s:\n%s", name, addr, said.String())
}

// startPeer starts Debian's docker-registry on a folder of its own.
func startPeer(work string) (*server, error) {
	program, err := exec.LookPath("docker-registry")
	if err != nil {
		return nil, err
	}
	config := filepath.Join(work, "peer.yml")
	text := "version: 0.1\nlog: {level: error}\nstorage:\n  filesystem: {rootdirectory: " + filepath.Join(work, "peer") + "}\nhttp: {addr: 127.0.0.1:0}\n"
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	return startServer(work, "docker-registry", exec.Command(program, "serve", config))
}

func (s *server) stop() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// peak is the most memory the process has had, in bytes; 0 when the system does not say.
func (s *server) peak() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		var kb int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kb); n == 1 {
			return kb << 10
		}
	}
	return 0
}
