package main

import (
	"net/http/httptest"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seaworthy-dev/seaworthy/engine/registry"
	"github.com/seaworthy-dev/seaworthy/serve/oci"
	"github.com/seaworthy-dev/seaworthy/store/blob"
	"github.com/seaworthy-dev/seaworthy/store/repo"
)

// startRegistry gives a script that asks for it a registry of its own, empty, at $REGISTRY.
func startRegistry(env *testscript.Env) error {
	dir := filepath.Join(env.WorkDir, ".registry")
	blobs, err := blob.Open(dir, blob.Options{})
	if err != nil {
		return err
	}
	names, err := repo.Open(dir, repo.Options{})
	if err != nil {
		return err
	}
	r := registry.New(blobs, names, registry.Options{})
	server := httptest.NewServer(oci.New(r, oci.Options{}))
	env.Defer(func() {
		server.Close()
		r.Close()
		_ = names.Close() // the folder goes away with the script's
	})
	env.Setenv("REGISTRY", strings.TrimPrefix(server.URL, "http://"))
	return nil
}
