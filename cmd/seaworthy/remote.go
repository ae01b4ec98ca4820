package main

import (
	"github.com/spf13/pflag"

	"github.com/seaworthy-dev/seaworthy/source/oci"
)

// remoteFlags are the flags of every verb that talks to registries, or reads what comes from one.
type remoteFlags struct {
	platform   string
	image      string
	plainHTTP  bool
	caFile     string
	allowHosts []string
	tokenHosts []string
}

func (r *remoteFlags) add(f *pflag.FlagSet) {
	f.StringVar(&r.platform, "platform", "", "os/arch[/variant] to take from a multi-platform image")
	f.StringVar(&r.image, "image", "", "name, tag or digest of one image in an archive or layout")
	f.BoolVar(&r.plainHTTP, "plain-http", false, "speak HTTP to the registry; localhost may speak it in any case")
	f.StringVar(&r.caFile, "ca-file", "", "certificate authorities (PEM) to trust besides the system's")
	f.StringArrayVar(&r.allowHosts, "allow-host", nil, "host at a private address that the registry may send us on to; may be repeated")
	f.StringArrayVar(&r.tokenHosts, "token-host", nil, "host of a token service that may be sent the registry's credentials; may be repeated")
}

// options are the flags as source/oci takes them. Errors: Usage.
func (r *remoteFlags) options(a *app) (oci.Options, error) {
	p, err := oci.ParsePlatform(r.platform)
	return oci.Options{
		Platform: p, Image: r.image, PlainHTTP: r.plainHTTP, CAFile: r.caFile,
		AllowHosts: r.allowHosts, TokenHosts: r.tokenHosts, UserAgent: "seaworthy/" + a.build.Version,
	}, err
}
