package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/verify"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

// imagePlace are the flags of verbs that work on what refers to an image.
type imagePlace struct {
	remoteFlags
	app *app
}

func (a *app) imageFlags(cmd *cobra.Command) *imagePlace {
	p := &imagePlace{app: a}
	p.add(cmd.Flags())
	return p
}

// resolve says what the name stands for: the manifest or index itself or, with --platform, the image in it.
func (p *imagePlace) resolve(ctx context.Context, opened *oci.Opened) (oci.Descriptor, []byte, error) {
	if p.platform == "" {
		return opened.Manifest(ctx, opened.Name)
	}
	platform, err := oci.ParsePlatform(p.platform)
	if err != nil {
		return oci.Descriptor{}, nil, err
	}
	return oci.PlatformManifest(ctx, opened, opened.Name, platform)
}

// verifyImage resolves the name once and verifies what it stands for.
func verifyImage(ctx context.Context, p *imagePlace, target string, r verify.Request) (*verify.Report, error) {
	o, err := p.options(p.app)
	if err != nil {
		return nil, err
	}
	opened, err := oci.OpenPlace(ctx, target, o)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	d, _, err := p.resolve(ctx, opened)
	if p.platform == "" && seaworthy.CodeOf(err) == seaworthy.NotFound {
		return nil, &seaworthy.Error{Code: seaworthy.Untagged, Doing: "verifying " + target, Err: err}
	}
	if err != nil {
		return nil, err
	}
	return verify.Image(ctx, target, opened, d.Digest, r)
}
