package main

import (
	"context"
	"encoding/json"
	"io"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/registry"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

// ownPlace is a repository of this process's own registry, read without a connection and without a password.
type ownPlace struct {
	r          *registry.Registry
	repository string
}

var _ oci.Place = ownPlace{}

// Manifest implements oci.Place.
func (p ownPlace) Manifest(_ context.Context, name string) (oci.Descriptor, []byte, error) {
	m, err := p.r.Manifest(p.repository, name)
	if err != nil {
		return oci.Descriptor{}, nil, err
	}
	return oci.Descriptor{MediaType: m.MediaType, Digest: m.Digest, Size: int64(len(m.Body))}, m.Body, nil
}

// Blob implements oci.Place.
func (p ownPlace) Blob(_ context.Context, d oci.Descriptor, offset int64) (io.ReadCloser, error) {
	c, err := p.r.Blob(p.repository, d.Digest)
	if err != nil {
		return nil, err
	}
	if _, err := c.Seek(offset, io.SeekStart); err != nil {
		c.Close()
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "reading the blob %s", d.Digest)
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(c, max(0, d.Size-offset)), c}, nil
}

// Referrers implements oci.Place.
func (p ownPlace) Referrers(ctx context.Context, subject seaworthy.Digest, artifactType string) ([]oci.Referrer, error) {
	var all []oci.Referrer
	for last := seaworthy.Digest(""); ; {
		page, err := p.r.Referrers(p.repository, subject, last, artifactType, registry.MaxPage)
		if err != nil {
			return nil, err
		}
		for _, listing := range page.Descriptors {
			var d oci.Descriptor
			if err := json.Unmarshal(listing, &d); err != nil {
				return nil, seaworthy.Wrap(err, seaworthy.Storage, "reading the referrers of %s", subject)
			}
			all = append(all, oci.Referrer{Descriptor: d, Via: oci.ViaAPI})
		}
		if last = page.Next; last == "" {
			return all, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
}

// Tags implements oci.Place.
func (p ownPlace) Tags(ctx context.Context) ([]string, error) {
	var all []string
	for last, more := "", true; more; {
		var tags []string
		var err error
		if tags, more, err = p.r.Tags(p.repository, last, registry.MaxPage); err != nil {
			return nil, err
		}
		if all = append(all, tags...); len(tags) > 0 {
			last = tags[len(tags)-1]
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return all, nil
}
