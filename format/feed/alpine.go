package feed

import (
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seaworthy-dev/seaworthy"
)

// AlpineFix says that a package of an Alpine-like distribution repaired issues in a version.
type AlpineFix struct {
	Distro  string   // as the file writes it: "v3.18", "edge"; "" in Wolfi's and Chainguard's files
	Repo    string   // main, community, os
	Package string   // origin (source) package
	Fixed   string   // "0" means that the package was never affected
	IDs     []string // CVE-…, GHSA-…; sorted
}

// Alpine reads a secdb file (secdb.alpinelinux.org). A line of several names ("CVE-2019-1 GHSA-x") is several
// names. Errors: Invalid and TooLarge for the file as a whole, and what each returns.
func Alpine(r io.Reader, each func(AlpineFix) error, bad Bad) error {
	dec := decode(r)
	var distro, repo string
	var pending []AlpineFix // fixes read before the header; files keep it first, but need not
	n, header := 0, 0
	err := object(dec, func(name string) error {
		switch name {
		case "distroversion", "reponame":
			tok, err := dec.ReadToken()
			if err != nil {
				return syntax(err)
			}
			if tok.Kind() != '"' {
				return seaworthy.Errorf(seaworthy.Invalid, "%s is no string", name)
			}
			if header++; name == "reponame" {
				repo = strings.Clone(tok.String())
			} else {
				distro = strings.Clone(tok.String())
			}
			return nil
		case "packages":
			return alpinePackages(dec, func(fix AlpineFix) error {
				if n++; n > MaxEntries {
					return tooMany()
				}
				if header < 2 {
					pending = append(pending, fix)
					return nil
				}
				fix.Distro, fix.Repo = distro, repo
				return each(fix)
			}, bad)
		}
		return syntax(dec.SkipValue())
	})
	for _, fix := range pending {
		if err != nil {
			break
		}
		fix.Distro, fix.Repo = distro, repo
		err = each(fix)
	}
	return seaworthy.Wrap(err, seaworthy.Invalid, "reading Alpine secdb")
}

func alpinePackages(dec *jsontext.Decoder, each func(AlpineFix) error, bad Bad) error {
	tok, err := dec.ReadToken()
	if err != nil {
		return syntax(err)
	}
	if tok.Kind() != '[' {
		return seaworthy.Errorf(seaworthy.Invalid, "packages is no list")
	}
	for dec.PeekKind() != ']' {
		raw, err := value(dec)
		if err != nil {
			return err
		}
		var in struct {
			Pkg struct {
				Name     string              `json:"name"`
				SecFixes map[string][]string `json:"secfixes"`
			} `json:"pkg"`
		}
		if err := json.Unmarshal(raw, &in); err != nil || in.Pkg.Name == "" {
			if err == nil {
				err = seaworthy.Errorf(seaworthy.Invalid, "a package without a name")
			}
			bad(in.Pkg.Name, seaworthy.Wrap(err, seaworthy.Invalid, "parsing package"))
			continue
		}
		versions := make([]string, 0, len(in.Pkg.SecFixes))
		for v := range in.Pkg.SecFixes {
			versions = append(versions, v)
		}
		slices.Sort(versions)
		for _, v := range versions {
			var ids []string
			for _, line := range in.Pkg.SecFixes[v] {
				ids = append(ids, strings.Fields(line)...)
			}
			slices.Sort(ids)
			if err := each(AlpineFix{Package: in.Pkg.Name, Fixed: v, IDs: slices.Compact(ids)}); err != nil {
				return err
			}
		}
	}
	_, err = dec.ReadToken()
	return syntax(err)
}
