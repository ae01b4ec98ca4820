package oci

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/seaworthy-dev/seaworthy"
)

// maxNames is how many tags or repositories are listed.
const maxNames = 1_000_000

// Tags implements Place. Errors: NotFound when the repository is not there, TooLarge, Unauthorized, Unavailable.
func (r *Repository) Tags(ctx context.Context) ([]string, error) {
	tags, err := r.names(ctx, "tags/list?n=1000", func(raw []byte) ([]string, error) {
		var doc struct {
			Tags []string `json:"tags"`
		}
		err := unmarshalStrict(raw, &doc)
		return doc.Tags, err
	})
	return tags, seaworthy.Wrap(err, seaworthy.Unavailable, "listing the tags of %s", r.Ref.Name())
}

// Catalog lists the repositories of a registry (host[:port]), sorted. Most public registries refuse.
// Errors: Usage, TooLarge, Unauthorized, NotFound, Unavailable.
func (c *Client) Catalog(ctx context.Context, host string) ([]string, error) {
	ref, err := ParseReference(host + "/x")
	if err != nil || ref.Registry == dockerHub && host != dockerHub {
		return nil, seaworthy.Errorf(seaworthy.Usage, "listing the repositories of %q: that is no registry", clip(host)).
			WithHint("a registry is a host, with its port where it has one: registry.example:5000")
	}
	r := &Repository{Client: c, Ref: ref}
	all, err := r.names(ctx, "/v2/_catalog?n=1000", func(raw []byte) ([]string, error) {
		var doc struct {
			Repositories []string `json:"repositories"`
		}
		err := unmarshalStrict(raw, &doc)
		return doc.Repositories, err
	})
	if err == nil {
		return all, nil
	}
	e := &seaworthy.Error{Code: seaworthy.CodeOf(err), Doing: "listing the repositories of " + ref.Registry, Err: err, Hint: seaworthy.HintOf(err)}
	switch e.Code {
	case seaworthy.NotFound, seaworthy.Unauthorized, seaworthy.Unsupported, seaworthy.Invalid:
		e.Hint = "most registries do not tell what they hold, or only to their administrators; seaworthy oci ls lists the tags of a repository you know"
	}
	return nil, e
}

// names collects the pages of a list of names.
func (r *Repository) names(ctx context.Context, path string, parse func([]byte) ([]string, error)) ([]string, error) {
	all := []string{}
	seen := map[string]bool{}
	var at *url.URL
	for page := 0; ; page++ {
		raw, header, status, final, err := r.page(ctx, call{path: path, at: at})
		if status == http.StatusNotFound && page > 0 {
			return nil, seaworthy.Errorf(seaworthy.Unavailable, "its page %d is gone", page+1)
		}
		if err != nil {
			return nil, err
		}
		some, err := parse(raw)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
		if len(all) > maxNames {
			return nil, seaworthy.Errorf(seaworthy.TooLarge, "there are more than %d", maxNames)
		}
		if at, err = nextPage(header, final, seen, page); err != nil {
			return nil, err
		}
		if at == nil {
			slices.Sort(all)
			return slices.Compact(all), nil
		}
	}
}
