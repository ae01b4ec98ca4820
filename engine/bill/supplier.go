package bill

import (
	"net/url"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/inspect"
)

// SupplierFrom is the property that marks a supplier nobody stated as such. Its value says what names it:
//
//   - "name": the package's name, which holds its owner: a Go module's host and owner, a Maven group, an npm
//     scope.
//   - "repository", "homepage": the host and owner of the source repository or of the page, as in
//     "github.com/expressjs". Of a page outside the known code hosts, its host.
//   - "label:maintainer", "label:…authors", "author": of an image without a vendor label, the label or the
//     field of the configuration.
//   - "registry": the host and namespace that an image was fetched from, "docker.io/library".
//
// Readers who take only stated suppliers look for it; Check counts both.
const SupplierFrom = "seaworthy:supplier-from"

// supplier is who supplies a package, and what names them; from is "" where they are stated.
type supplier struct {
	party seaworthy.Party
	from  string
}

func nameSupplier(p *seaworthy.Package, s supplier) {
	if s.party.Name == "" {
		return
	}
	p.Supplier = s.party
	if s.from != "" {
		p.Properties = append(slices.Clip(p.Properties), seaworthy.Property{Name: SupplierFrom, Value: s.from})
	}
}

// Labels of the image specification (annotations.md) and the one that Dockerfiles carried before it.
const (
	vendorLabel     = "org.opencontainers.image.vendor"
	authorsLabel    = "org.opencontainers.image.authors"
	maintainerLabel = "maintainer"
)

// imageSupplier says who supplies an image: its vendor label, else who is named as maintainer or author, else
// whoever owns the namespace it was fetched from. An image of a file or directory has nobody to be asked.
func imageSupplier(r *inspect.Report, repository string) supplier {
	if vendor := cleanName(r.Labels[vendorLabel]); vendor != "" {
		return supplier{party: seaworthy.Party{Kind: seaworthy.Organization, Name: vendor}}
	}
	for _, said := range []struct{ from, value string }{
		{"label:maintainer", r.Labels[maintainerLabel]},
		{"label:" + authorsLabel, r.Labels[authorsLabel]},
		{"author", r.Author},
	} {
		if party := namedParty(said.value); party.Name != "" {
			return supplier{party, said.from}
		}
	}
	if slash := strings.LastIndexByte(repository, '/'); r.Kind == "registry" && slash > 0 {
		return supplier{seaworthy.Party{Kind: seaworthy.Organization, Name: repository[:slash]}, "registry"}
	}
	return supplier{}
}

// maxSupplier is the longest name of a supplier that is believed, in bytes: labels hold whole pages at times.
const maxSupplier = 200

// cleanName is s on one line, or "" where it is no name.
func cleanName(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxSupplier {
		return ""
	}
	return s
}

// namedParty reads "Name <mail>", a name, or a mail address alone. Whether it is a person is not known.
func namedParty(s string) seaworthy.Party {
	s = cleanName(s)
	name, rest, ok := strings.Cut(s, "<")
	if !ok {
		return seaworthy.Party{Name: s}
	}
	mail, _, _ := strings.Cut(rest, ">")
	name, mail = strings.TrimSpace(name), strings.TrimSpace(mail)
	if name == "" {
		return seaworthy.Party{Name: mail}
	}
	return seaworthy.Party{Name: name, Email: mail}
}

// packageSupplier finds the supplier of a package that states none. One with an author has somebody to ask and
// needs no guess, except where the name holds its owner.
func packageSupplier(p *seaworthy.Package) supplier {
	if owner := ownerInName(p); owner != "" {
		return supplier{seaworthy.Party{Kind: seaworthy.Organization, Name: owner}, "name"}
	}
	if p.Originator.Name != "" || p.Role == seaworthy.OS {
		return supplier{}
	}
	if owner := ownerOf(p.Property("npm:repository")); owner != "" {
		return supplier{seaworthy.Party{Kind: seaworthy.Organization, Name: owner}, "repository"}
	}
	if p.Ecosystem == "npm" {
		if owner := ownerOf(p.Homepage); owner != "" {
			return supplier{seaworthy.Party{Kind: seaworthy.Organization, Name: owner}, "homepage"}
		}
	}
	return supplier{}
}

// ownerInName is the owner that a package's name holds.
func ownerInName(p *seaworthy.Package) string {
	switch p.Ecosystem {
	case "golang":
		parts := strings.SplitN(p.Name, "/", 3)
		switch {
		case p.Name == "stdlib", p.Name == "toolchain":
			return "The Go Project"
		case len(parts) >= 2 && strings.Contains(parts[0], "."):
			return parts[0] + "/" + parts[1]
		}
	case "maven":
		if group, _, ok := strings.Cut(p.Name, ":"); ok {
			return group
		}
	case "npm":
		if scope, name, ok := strings.Cut(p.Name, "/"); ok && len(scope) > 1 && scope[0] == '@' && name != "" && p.Originator.Name == "" {
			return scope
		}
	}
	return ""
}

// codeHosts are sites where the first part of a path is who owns what is there.
var codeHosts = map[string]bool{
	"github.com": true, "gitlab.com": true, "bitbucket.org": true, "codeberg.org": true, "gitee.com": true, "git.sr.ht": true,
}

// registries hold packages of everybody: their host says nothing about who made one.
var registries = map[string]bool{"npmjs.com": true, "npmjs.org": true, "registry.npmjs.org": true, "registry.yarnpkg.com": true, "npm.im": true, "unpkg.com": true}

// ownerOf is the host, and on a code host also the owner, that an address names: "git+https://github.com/a/b.git"
// gives "github.com/a".
func ownerOf(address string) string {
	u, err := url.Parse(strings.TrimPrefix(address, "git+"))
	if err != nil || u.Hostname() == "" || len(address) > 4<<10 {
		return ""
	}
	host := strings.TrimPrefix(strings.ToLower(u.Hostname()), "www.")
	if registries[host] || !strings.Contains(host, ".") {
		return ""
	}
	if !codeHosts[host] {
		return host
	}
	owner, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	if owner = cleanName(owner); owner == "" {
		return ""
	}
	return host + "/" + owner
}
