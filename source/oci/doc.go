// Package oci says where container images come from, and reads them without believing what it reads: from
// registries (OCI distribution specification 1.1), OCI image layout directories, and the archives that docker
// save, podman save and skopeo write.
//
// Open is the one call most readers need. It recognises what a person named, chooses one image by platform
// and name, checks the manifest and configuration against their digests, and gives an Image whose layers can
// be opened, each once or many times. Layer bytes are not checked here, only bounded: whoever streams them
// hashes them on the way.
//
// ParseTarget says what kind of thing a name means without opening it: directories and plain files are other
// packages' business, but only one place should decide.
//
// # What a hostile registry can do
//
// Nothing a registry, a redirect or a token realm says makes this package
//   - connect to a loopback, link-local, private or otherwise special address, unless the person named the
//     host that resolved to it (the address is checked after resolution, when the connection is made);
//   - send credentials to another host than the registry's, or to a token service that is not the
//     registry's own, on a short list (see tokenHosts), or named in Options.TokenHosts;
//   - go from https to http, follow more than 10 redirects, wait longer than Options.MaxWait at once, or
//     read more bytes than a descriptor promised;
//   - fetch a URL written in a manifest: foreign layers come from the registry or not at all.
//
// HTTP_PROXY, HTTPS_PROXY and NO_PROXY are honoured. A proxy resolves names itself, so behind one only
// addresses written as numbers can be refused here; the rest is the proxy's to refuse.
package oci
