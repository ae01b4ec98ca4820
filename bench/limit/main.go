// Command limit does the least that anybody who reads an image's layers must do, and nothing else: it
// decompresses every layer, hashes the tar, and walks its headers, two layers at a time. What "seaworthy inspect"
// costs more than this is the price of its answer.
//
//	go run ./bench/limit oci-dir:DIRECTORY
package main

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/klauspost/compress/gzip"
	"golang.org/x/sync/errgroup"

	"github.com/seaworthy-dev/seaworthy/source/oci"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "limit: name one image")
		os.Exit(3)
	}
	if err := read(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "limit:", err)
		os.Exit(1)
	}
}

func read(target string) error {
	img, err := oci.Open(context.Background(), target, oci.Options{})
	if err != nil {
		return err
	}
	defer img.Close()
	var work errgroup.Group
	work.SetLimit(runtime.GOMAXPROCS(0))
	for i := range img.Layers {
		work.Go(func() error { return layer(&img.Layers[i]) })
	}
	return work.Wait()
}

func layer(l *oci.Layer) error {
	stored, err := l.Open(context.Background())
	if err != nil {
		return err
	}
	defer stored.Close()
	plain, err := gzip.NewReader(stored)
	if err != nil {
		return err
	}
	sum := sha256.New()
	hashed := io.TeeReader(plain, sum)
	entries := tar.NewReader(hashed)
	for {
		if _, err := entries.Next(); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
	}
	if _, err := io.Copy(io.Discard, hashed); err != nil {
		return err
	}
	if got := fmt.Sprintf("sha256:%x", sum.Sum(nil)); got != string(l.DiffID) {
		return fmt.Errorf("diffID %s, want %s", got, l.DiffID)
	}
	return nil
}
