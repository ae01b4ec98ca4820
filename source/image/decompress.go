package image

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"hash"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/seaworthy-dev/seaworthy"
)

// A zstd frame says how much of its output the reader must remember: its window. maxZstdWindow is the most it may
// ask for, 128 MiB, which is what the zstd tool itself allows. Builders use 8 MiB and less, so only one layer at a
// time gets more than usualZstdWindow: an image of many layers cannot ask for that many windows.
const (
	maxZstdWindow   = 128 << 20
	usualZstdWindow = 16 << 20
)

// largeWindow is held by the one layer that has a window over usualZstdWindow.
var largeWindow = make(chan struct{}, 1)

const (
	chunkSize  = 256 << 10 // bytes handed over at a time
	chunkCount = 8         // chunks under way: 2 MiB a layer
)

// unpacked is the tar of a layer while its stored bytes are hashed and decompressed in another goroutine, so
// that a single large layer keeps two processors busy. It hashes the tar as it is read.
type unpacked struct {
	full  chan chunk
	empty chan []byte
	stop  context.CancelFunc
	cur   []byte // of the current chunk, not yet read
	whole []byte // the current chunk's buffer
	sum   hash.Hash
	size  int64
	err   error
	end   ending // valid once full is closed
}

type chunk struct {
	b   []byte // a prefix of a buffer
	err error
}

// ending is what is known when a layer has been read to its end.
type ending struct {
	stored     seaworthy.Digest
	storedSize int64
	tar        seaworthy.Digest
	tarSize    int64
	err        error // of the stored bytes or their compression
}

// decompress starts reading stored. The compression is told from the first bytes, not from the media type:
// registries and archives are known to lie about it. finish must be called.
func decompress(ctx context.Context, stored io.Reader, want seaworthy.Digest, o Options) (*unpacked, error) {
	alg, sum := newHash(want)
	counted := &countedReader{r: stored, sum: sum, progress: o.Progress}
	buffered := bufio.NewReaderSize(counted, 256<<10)
	plain, closePlain, err := uncompressed(ctx, buffered)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	u := &unpacked{full: make(chan chunk, chunkCount), empty: make(chan []byte, chunkCount), stop: stop, sum: sha256.New()}
	for range chunkCount {
		u.empty <- make([]byte, chunkSize)
	}
	go func() {
		defer close(u.full)
		defer closePlain()
		err := u.pump(ctx, plain, counted, o.Limits)
		if err == io.EOF { // the tar ended; what is stored may go on
			err = nil
			if _, drainErr := io.Copy(io.Discard, buffered); drainErr != nil {
				err = drainErr
			}
		}
		u.end.stored, u.end.storedSize = digestOf(alg, sum), counted.n
		u.end.err = err
	}()
	return u, nil
}

// uncompressed finds out how r is compressed.
func uncompressed(ctx context.Context, r *bufio.Reader) (plain io.Reader, closePlain func(), err error) {
	head, err := r.Peek(4)
	if err != nil && err != io.EOF {
		return nil, nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, nil, seaworthy.Errorf(seaworthy.Invalid, "reading the gzip header: %w", err)
		}
		return z, func() { z.Close() }, nil
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}) || len(head) == 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:], []byte{0x2a, 0x4d, 0x18}):
		return unzstd(ctx, r)
	}
	return r, func() {}, nil
}

// unzstd decompresses r. The first frame's window decides which later ones are let through.
func unzstd(ctx context.Context, r *bufio.Reader) (plain io.Reader, closePlain func(), err error) {
	head, err := r.Peek(zstd.HeaderMaxSize)
	if err != nil && err != io.EOF {
		return nil, nil, err
	}
	var header zstd.Header
	window, release := uint64(usualZstdWindow), func() {}
	if header.Decode(head) == nil && header.WindowSize > usualZstdWindow {
		select {
		case largeWindow <- struct{}{}:
			window, release = maxZstdWindow, func() { <-largeWindow }
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		}
	}
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(window), zstd.WithDecoderLowmem(true))
	if err != nil {
		release()
		return nil, nil, seaworthy.Errorf(seaworthy.Invalid, "reading the zstd header: %w", err)
	}
	return z, func() { z.Close(); release() }, nil
}

// pump moves plain to the reading side until it ends (io.EOF) or fails, and enforces the size limits.
func (u *unpacked) pump(ctx context.Context, plain io.Reader, stored *countedReader, limits Limits) error {
	var total int64
	for {
		var buf []byte
		select {
		case buf = <-u.empty:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		n, err := fill(plain, buf)
		total += int64(n)
		switch {
		case err != nil && err != io.EOF:
			err = seaworthy.Wrap(err, seaworthy.Invalid, "decompressing")
		case total > limits.Unpacked:
			err = seaworthy.Errorf(seaworthy.TooLarge, "it unpacks to more than %d bytes", limits.Unpacked).WithHint("raise it with --max-unpacked")
		case total > RatioFrom && total/limits.Ratio > max(stored.n, 1):
			err = seaworthy.Errorf(seaworthy.TooLarge, "%d stored bytes unpack to more than %d: over %d times as many", stored.n, total, limits.Ratio).
				WithHint("raise it with --max-ratio if the image is to be trusted")
		}
		select {
		case u.full <- chunk{b: buf[:n], err: err}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// fill reads until buf is full or r ends, and returns r's own error: unlike io.ReadFull it leaves io.EOF and
// io.ErrUnexpectedEOF (a cut gzip stream) apart.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for idle := 0; n < len(buf) && err == nil; {
		var m int
		m, err = r.Read(buf[n:])
		n += m
		if idle++; m > 0 {
			idle = 0
		} else if idle > 100 && err == nil {
			return n, io.ErrNoProgress
		}
	}
	return n, err
}

// Read implements io.Reader over the chunks.
func (u *unpacked) Read(p []byte) (int, error) {
	for len(u.cur) == 0 {
		if u.err != nil {
			return 0, u.err
		}
		if u.whole != nil {
			u.empty <- u.whole
			u.whole = nil
		}
		c, ok := <-u.full
		if !ok { // stopped
			u.err = io.ErrClosedPipe
			continue
		}
		u.sum.Write(c.b)
		u.size += int64(len(c.b))
		u.cur, u.err = c.b, c.err
		if cap(c.b) == chunkSize {
			u.whole = c.b[:chunkSize]
		}
	}
	n := copy(p, u.cur)
	u.cur = u.cur[n:]
	return n, nil
}

// finish ends the reading and says how it went. With drain the rest is read and hashed first, as a tar may end
// before its stream does; without it the digests are of no use.
func (u *unpacked) finish(drain bool) ending {
	if drain {
		u.cur = nil
		for u.err == nil {
			if _, err := u.Read(nil); err != nil {
				break
			}
			u.cur = nil
		}
	}
	u.stop()
	for range u.full { // until the pump has ended
	}
	u.end.tar, u.end.tarSize = digestOf("sha256", u.sum), u.size
	return u.end
}

// countedReader hashes and counts the stored bytes.
type countedReader struct {
	r        io.Reader
	sum      hash.Hash
	n        int64
	progress func(int64)
}

func (c *countedReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.sum.Write(p[:n])
	c.n += int64(n)
	if c.progress != nil && n > 0 {
		c.progress(int64(n))
	}
	return n, err
}
