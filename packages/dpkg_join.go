package packages

import (
	"cmp"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// joinDpkg gives the packages of the status files their files, licences, purls and edges.
//
// A list belongs to the package whose name it bears, or name:arch where several architectures can be
// installed side by side. A package without a copyright file of its own has a link in its place, which is not
// seen; Debian policy 12.5 allows that only to a package from the same source that it depends on, so that one's
// licences are taken and the property licence-from says so.
func joinDpkg(ctx Context, all []Facts) Joined {
	var out Joined
	lists := make(map[string][]seaworthy.OwnedFile)
	sums := make(map[string][]seaworthy.OwnedFile)
	copyrights := make(map[string]string)
	for i := range all {
		f := &all[i]
		switch {
		case len(f.Packages) > 0:
			out.Packages = append(out.Packages, f.Packages...)
		case strings.HasSuffix(f.Path, ".list"):
			lists[f.About] = f.Files
		case strings.HasSuffix(f.Path, ".md5sums"):
			sums[f.About] = f.Files
		case f.About != "":
			copyrights[f.About] = f.Licences.Declared
		}
	}
	// Sorted, so that what follows does not depend on the order of the status file.
	slices.SortStableFunc(out.Packages, func(a, b seaworthy.Package) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Arch, b.Arch), strings.Compare(a.Version, b.Version))
	})
	provides := make([][]string, len(out.Packages))
	docs := make([]string, len(out.Packages)) // the folder of each package's copyright file
	digests := make(map[string]seaworthy.Digest)
	for i := range out.Packages {
		p := &out.Packages[i]
		provides[i] = takeProvides(p)
		list, sum := lists[p.Name+":"+p.Arch], sums[p.Name+":"+p.Arch]
		if list == nil {
			list = lists[p.Name]
		}
		if sum == nil {
			sum = sums[p.Name]
		}
		docs[i] = docFolder(p.Name, list, copyrights)
		p.Files = ownedFiles(list, sum, p.Files, digests)
		fallback := "debian"
		if p.Ecosystem == "opkg" {
			fallback = ""
		}
		p.PURL = distroPURL(p.Ecosystem, ctx.Release, fallback, p, p.Version, "")
		p.Ref = p.PURL
	}
	dpkgLicences(out.Packages, docs, copyrights)
	out.Relations = dependencyEdges(out.Packages, provides, func(arch string) bool { return arch == "all" })
	return out
}

// ownedFiles joins the list of a package's files with the digests that its md5sums and conffiles give. All may
// be missing. digests is scratch.
func ownedFiles(list, sums, conffiles []seaworthy.OwnedFile, digests map[string]seaworthy.Digest) []seaworthy.OwnedFile {
	if len(list) == 0 && len(conffiles) == 0 {
		return sortFiles(slices.Clone(sums))
	}
	clear(digests)
	for _, f := range sums {
		digests[f.Path] = f.Digest
	}
	for _, f := range conffiles {
		digests[f.Path] = f.Digest
	}
	out := make([]seaworthy.OwnedFile, 0, max(len(list), len(digests)))
	for _, f := range list {
		digest, ok := digests[f.Path]
		if ok {
			delete(digests, f.Path)
		}
		out = append(out, seaworthy.OwnedFile{Path: f.Path, Digest: digest})
	}
	for path, digest := range digests { // listed nowhere; sorted below
		out = append(out, seaworthy.OwnedFile{Path: path, Digest: digest})
	}
	return sortFiles(out)
}

// docFolder finds the folder in usr/share/doc whose copyright file is the package's: that of its name, or the
// one its list names. "" means that there is none, or only a link.
func docFolder(name string, list []seaworthy.OwnedFile, copyrights map[string]string) string {
	if _, ok := copyrights[name]; ok {
		return name
	}
	for _, f := range list {
		if folder, ok := copyrightOf(f.Path); ok {
			if _, ok := copyrights[folder]; ok {
				return folder
			}
		}
	}
	return ""
}

// dpkgLicences sets what the packages declare. packages are sorted by name.
func dpkgLicences(packages []seaworthy.Package, docs []string, copyrights map[string]string) {
	bySource := make(map[seaworthy.Upstream][]int)
	for i := range packages {
		if docs[i] != "" {
			packages[i].Licences.Declared = copyrights[docs[i]]
			if list := bySource[packages[i].Source]; len(list) < maxProviders {
				bySource[packages[i].Source] = append(list, i)
			}
		}
	}
	for i := range packages {
		p := &packages[i]
		if docs[i] != "" {
			continue
		}
		siblings := bySource[p.Source]
		if len(siblings) == 0 {
			continue
		}
		from := siblings[0]
		for _, s := range siblings {
			if dependsOnName(p, packages[s].Name) {
				from = s
				break
			}
		}
		p.Licences.Declared = copyrights[docs[from]]
		p.Properties = append(slices.Clip(p.Properties), seaworthy.Property{Name: "licence-from", Value: packages[from].Name})
	}
}

func dependsOnName(p *seaworthy.Package, name string) bool {
	for _, d := range p.Depends {
		if d.Name == name {
			return true
		}
	}
	return false
}
