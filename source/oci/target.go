package oci

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// The kinds of target.
const (
	KindRegistry = "registry" // an image in a registry
	KindLayout   = "oci-dir"  // an OCI image layout directory
	KindArchive  = "archive"  // a tar file with images: docker save, podman save, skopeo, or a layout in a tar
	KindDir      = "dir"      // any other directory; not opened here
	KindFile     = "file"     // any other file; not opened here
)

var kindWords = map[string]string{
	KindRegistry: "registry reference", KindLayout: "OCI layout directory", KindArchive: "image archive",
	KindDir: "directory", KindFile: "file",
}

const otherForms = "name it as registry:HOST/REPOSITORY:TAG, oci-dir:PATH[:TAG], archive:PATH, dir:PATH or file:PATH to say what it is"

// Target is what a name means, before anything is opened.
type Target struct {
	Kind      string
	Path      string    // of all but registries
	Select    string    // the tag or digest written after the path of a layout
	Reference Reference // of registries
	Forced    bool      // the kind was written before the name
}

// ParseTarget says what target means. A kind may be written before it ("oci-dir:", "archive:", "registry:",
// "dir:", "file:"). Without one, what exists in the file system wins: a directory with an oci-layout file is a
// layout, a tar file with manifest.json or index.json an image archive. What does not exist is a registry
// reference if it can be one and does not look like a path ("./x", "/x", "x.tar"). A layout's image may be
// chosen by "path:tag" or "path@digest".
//
// Errors: NotFound, saying where was looked; Usage.
func ParseTarget(target string) (Target, error) {
	if target == "" || strings.ContainsRune(target, 0) {
		return Target{}, seaworthy.Errorf(seaworthy.Usage, "opening %q: that is no name", clip(target)).WithHint(otherForms)
	}
	if kind, rest, ok := strings.Cut(target, ":"); ok && kindWords[kind] != "" && rest != "" {
		// "file:1.2" could be an image called file; a kind before a colon is always the kind.
		return forced(kind, rest)
	}
	if t, ok, err := onDisk(target); ok || err != nil {
		return t, err
	}
	if path, sel, ok := cutSelect(target); ok && isLayout(path) {
		return Target{Kind: KindLayout, Path: path, Select: sel}, nil
	}
	notThere := func(why string) (Target, error) {
		return Target{}, seaworthy.Errorf(seaworthy.NotFound, "opening %q: no file or directory of that name; as a registry reference: %s", clip(target), why).WithHint(otherForms)
	}
	switch {
	case looksLikePath(target):
		return notThere("it is written as a path")
	case looksLikeFile(target):
		return notThere("its ending is a file's; write registry: before it if it is one")
	}
	r, err := ParseReference(target)
	if err != nil {
		var e *seaworthy.Error
		why := err.Error()
		if errors.As(err, &e) && e.Err != nil {
			why = strings.TrimPrefix(e.Err.Error(), "parsing image reference "+quote(target)+": ")
		}
		return notThere(why)
	}
	return Target{Kind: KindRegistry, Reference: r}, nil
}

func forced(kind, rest string) (Target, error) {
	t := Target{Kind: kind, Path: rest, Forced: true}
	if kind == KindRegistry {
		r, err := ParseReference(rest)
		return Target{Kind: kind, Reference: r, Forced: true}, err
	}
	fi, err := os.Stat(rest)
	if kind == KindLayout && err != nil {
		if path, sel, ok := cutSelect(rest); ok {
			if pi, perr := os.Stat(path); perr == nil {
				t.Path, t.Select, fi, err = path, sel, pi, nil
			}
		}
	}
	if err != nil {
		return Target{}, statError(rest, err)
	}
	wantDir := kind == KindLayout || kind == KindDir
	if fi.IsDir() != wantDir {
		is := "file"
		if fi.IsDir() {
			is = "directory"
		}
		return Target{}, seaworthy.Errorf(seaworthy.Usage, "opening %q as %s: it is a %s", clip(rest), kind, is).WithHint(otherForms)
	}
	if kind != KindDir && kind != KindLayout && !fi.Mode().IsRegular() {
		return Target{}, notRegular(rest, fi.Mode())
	}
	return t, nil
}

func statError(path string, err error) error {
	code := seaworthy.Storage
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return seaworthy.Errorf(seaworthy.NotFound, "opening %q: no such file or directory", clip(path)).WithHint(otherForms)
	case errors.Is(err, fs.ErrPermission):
		code = seaworthy.Unauthorized
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return seaworthy.Errorf(code, "opening %q: %w", clip(path), err)
}

func notRegular(path string, m fs.FileMode) error {
	return seaworthy.Errorf(seaworthy.Unsupported, "opening %q: it is no regular file or directory (%s)", clip(path), m.Type())
}

// onDisk classifies what is in the file system under this very name; ok is false when nothing is.
func onDisk(path string) (t Target, ok bool, err error) {
	fi, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return t, false, nil
	case err != nil:
		if looksLikePath(path) || errors.Is(err, fs.ErrPermission) {
			return t, false, statError(path, err)
		}
		return t, false, nil // a name no file can have: too long, a part that is no directory
	case fi.IsDir() && isLayout(path):
		return Target{Kind: KindLayout, Path: path}, true, nil
	case fi.IsDir():
		return Target{Kind: KindDir, Path: path}, true, nil
	case !fi.Mode().IsRegular():
		return t, false, notRegular(path, fi.Mode())
	}
	archive, err := sniffArchive(path)
	if err != nil {
		return t, false, err
	}
	if archive {
		return Target{Kind: KindArchive, Path: path}, true, nil
	}
	return Target{Kind: KindFile, Path: path}, true, nil
}

// isLayout reports whether a directory is an OCI image layout: it has an oci-layout file (image-spec
// image-layout.md), or at least index.json and blobs.
func isLayout(dir string) bool {
	is := func(name string, dirWanted bool) bool {
		fi, err := os.Stat(filepath.Join(dir, name))
		return err == nil && fi.IsDir() == dirWanted
	}
	return is("oci-layout", false) || is("index.json", false) && is("blobs", true)
}

// cutSelect splits "path:tag" and "path@digest".
func cutSelect(s string) (path, sel string, ok bool) {
	if i := strings.LastIndexByte(s, '@'); i > 0 {
		if d, err := seaworthy.ParseDigest(s[i+1:]); err == nil && d.NamesContent() {
			return s[:i], string(d), true
		}
	}
	// A tag of a layout may hold a whole name with slashes and colons: the first colon that leaves a directory.
	for i := 1; i < len(s)-1; i++ {
		if s[i] != ':' {
			continue
		}
		if fi, err := os.Stat(s[:i]); err == nil && fi.IsDir() {
			return s[:i], s[i+1:], true
		}
	}
	return "", "", false
}

func looksLikePath(s string) bool {
	return strings.HasPrefix(s, "/") || strings.HasPrefix(s, "./") || strings.HasPrefix(s, "../") || strings.HasPrefix(s, "~") ||
		s == "." || s == ".." || strings.HasSuffix(s, "/") || strings.ContainsRune(s, '\\') || filepath.IsAbs(s)
}

// looksLikeFile reports whether a name that could be a repository on Docker Hub is more likely the name of a
// file that is not there: asking a registry for it would be surprising.
func looksLikeFile(s string) bool {
	for _, end := range []string{".tar", ".tar.gz", ".tgz", ".tar.zst", ".json", ".xml", ".spdx", ".zip", ".jar", ".yaml", ".yml"} {
		if strings.HasSuffix(s, end) {
			first, _, _ := strings.Cut(s, "/")
			return first == s || !looksLikeHost(first)
		}
	}
	return false
}
