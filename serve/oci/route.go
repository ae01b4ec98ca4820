package oci

import (
	"net/http"
	"strings"

	"github.com/seaworthy-dev/seaworthy/engine/registry"
)

// endpoint is what a path of the API means (distribution-spec, "Endpoints").
type endpoint string

const (
	unknownEndpoint endpoint = ""
	baseEndpoint    endpoint = "base"      // end-1
	blobEndpoint    endpoint = "blob"      // end-2, end-10
	manifestPath    endpoint = "manifest"  // end-3, end-7, end-9
	startUpload     endpoint = "uploads"   // end-4, end-11
	uploadEndpoint  endpoint = "upload"    // end-5, end-6, end-13, end-14
	tagsEndpoint    endpoint = "tags"      // end-8
	referrersPath   endpoint = "referrers" // end-12
	catalogEndpoint endpoint = "catalog"   // not of the specification, but asked for by many tools
	tokenEndpoint   endpoint = "token"
	liveEndpoint    endpoint = "livez"
	readyEndpoint   endpoint = "readyz"
	metricsEndpoint endpoint = "metrics"
)

// route is a path, understood. Its parts are as the client wrote them: nothing has been checked.
type route struct {
	endpoint   endpoint
	repository string
	reference  string // tag, digest or upload
}

// parseRoute understands a path. Repositories may be called like parts of the API, so it is read from its end.
func parseRoute(path string) route {
	switch path {
	case "/livez", "/readyz", "/metrics", "/token":
		return route{endpoint: endpoint(path[1:])}
	case "/v2", "/v2/":
		return route{endpoint: baseEndpoint}
	case "/v2/_catalog":
		return route{endpoint: catalogEndpoint}
	}
	rest, ok := strings.CutPrefix(path, "/v2/")
	if !ok {
		return route{}
	}
	rest, last, _ := cutLast(rest)
	rest, kind, _ := cutLast(rest)
	switch {
	case rest == "":
	case kind == "manifests":
		return route{manifestPath, rest, last}
	case kind == "referrers":
		return route{referrersPath, rest, last}
	case kind == "tags" && last == "list":
		return route{tagsEndpoint, rest, ""}
	case kind == "blobs" && last == "uploads":
		return route{startUpload, rest, ""}
	case kind == "blobs":
		return route{blobEndpoint, rest, last}
	case kind == "uploads":
		name, ok := strings.CutSuffix(rest, "/blobs")
		if ok && name != "" && last == "" {
			return route{startUpload, name, ""}
		}
		if ok && name != "" {
			return route{uploadEndpoint, name, last}
		}
	}
	return route{}
}

func cutLast(path string) (before, last string, ok bool) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path, false
	}
	return path[:i], path[i+1:], true
}

// needs says which methods an endpoint has, and what one must be allowed to do in the repository to use them;
// "" is nothing.
var needs = map[endpoint]map[string]registry.Action{
	baseEndpoint:    {http.MethodGet: "", http.MethodHead: ""},
	blobEndpoint:    {http.MethodGet: registry.Pull, http.MethodHead: registry.Pull, http.MethodDelete: registry.Delete},
	manifestPath:    {http.MethodGet: registry.Pull, http.MethodHead: registry.Pull, http.MethodPut: registry.Push, http.MethodDelete: registry.Delete},
	startUpload:     {http.MethodPost: registry.Push},
	uploadEndpoint:  {http.MethodGet: registry.Push, http.MethodHead: registry.Push, http.MethodPatch: registry.Push, http.MethodPut: registry.Push, http.MethodDelete: registry.Push},
	tagsEndpoint:    {http.MethodGet: registry.Pull, http.MethodHead: registry.Pull},
	referrersPath:   {http.MethodGet: registry.Pull, http.MethodHead: registry.Pull},
	catalogEndpoint: {http.MethodGet: "", http.MethodHead: ""},
	tokenEndpoint:   {http.MethodGet: "", http.MethodPost: ""},
	liveEndpoint:    {http.MethodGet: "", http.MethodHead: ""},
	readyEndpoint:   {http.MethodGet: "", http.MethodHead: ""},
	metricsEndpoint: {http.MethodGet: "", http.MethodHead: ""},
}
