// Package packages recognises what is installed in, or declared by, a tree of files: distribution package
// databases, language packages, binaries that carry their module list, and lock files.
//
// It works in two steps, so that the layers of an image can be read apart from each other, in one pass, and
// their results kept:
//
//   - Each file a Recogniser wants is read once, as it passes, into Facts: what this file says on its own.
//   - Join puts the Facts of all files that are visible in the end together into an Inventory: packages with
//     their files, licences, dependencies and owners.
//
// Table is the list of all recognisers. Nothing here opens a file, looks at a clock or starts a goroutine.
package packages

import (
	"bytes"
	"io"
	"io/fs"

	"github.com/seaworthy-dev/seaworthy"
)

// Recogniser knows one kind of file, or a few that belong together.
type Recogniser struct {
	// Name is the recogniser's name in evidence, "dpkg". Unique in Table.
	Name string
	// Version is raised whenever Read gives other Facts for the same bytes: cached results of older versions
	// are then not used.
	Version int
	// Lock says that the files are wishes rather than installations: lock files and manifests. They are read
	// in source trees and not in images.
	Lock bool
	// Wants says from the entry alone whether Read should see the file. It is called for every file of an
	// image, so it must not allocate. Only regular files are asked about.
	Wants func(path string, size int64, mode fs.FileMode) bool
	// Read says what one file says. It must keep nothing that f lends it: strings are copied out of the body.
	// A file that turns out to be something else gives no Facts and no error. An error means that the file is
	// of this kind and damaged; Facts returned beside it are kept.
	Read func(f *File) (Facts, error)
	// Join turns the Facts of this recogniser's visible files, sorted by path, into packages. nil means that
	// every Facts' Packages stand for themselves. It may change what all holds.
	Join func(ctx Context, all []Facts) Joined
}

// Context is what a Join may know besides its own recogniser's Facts.
type Context struct {
	Release *OSRelease // the operating system the files belong to; nil when no file says
}

// File is a file as it passes by.
type File struct {
	Path string // clean, slash-separated, no leading slash
	Size int64
	Mode fs.FileMode
	Body io.Reader // the content, once

	// Scratch is where Bytes puts the content; it is used again for the next file.
	Scratch *bytes.Buffer
	// Max is the most bytes that Bytes holds in memory; 0 means DefaultMaxFile.
	Max int64
}

// DefaultMaxFile is the largest file that is held in memory as a whole: 256 MiB. Recognisers that can do with
// less (a header, a stream) read larger ones too.
const DefaultMaxFile = 256 << 20

// Bytes returns the whole content, valid until Read returns. Errors: TooLarge, and those of Body.
func (f *File) Bytes() ([]byte, error) {
	limit := f.Max
	if limit == 0 {
		limit = DefaultMaxFile
	}
	if f.Size > limit {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "file of %d bytes is over the limit of %d", f.Size, limit).
			WithHint("raise it with --max-file")
	}
	if f.Scratch == nil {
		f.Scratch = new(bytes.Buffer)
	}
	f.Scratch.Reset()
	f.Scratch.Grow(int(f.Size) + bytes.MinRead)
	if _, err := f.Scratch.ReadFrom(io.LimitReader(f.Body, limit+1)); err != nil {
		return nil, err
	}
	if int64(f.Scratch.Len()) > limit {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "file is over the limit of %d bytes", limit)
	}
	return f.Scratch.Bytes(), nil
}

// Facts is what one file says on its own.
type Facts struct {
	By   string `json:"by"`   // the Recogniser's name; set by the caller of Read
	Path string `json:"path"` // set by the caller of Read
	// Packages are declared by this file. Their Evidence and Ref are filled in later; PURL may be left to Join
	// where it needs something from another file (the distribution, say).
	Packages []seaworthy.Package `json:"packages,omitempty"`
	// About names, in the recogniser's own words, the package that the rest of this file speaks of, where that
	// package is declared by another file: "libc6:amd64" for libc6:amd64.list.
	About     string                `json:"about,omitempty"`
	Files     []seaworthy.OwnedFile `json:"files,omitempty"`
	Licences  seaworthy.Licences    `json:"licences,omitzero"`
	Copyright string                `json:"copyright,omitempty"`
	Release   *OSRelease            `json:"release,omitempty"`
	// Relations go between Refs that Read itself gave to Packages of this file. They mean nothing outside of it:
	// Join turns them into relations of the bill.
	Relations []seaworthy.Relation `json:"relations,omitempty"`
	Problems  []seaworthy.Problem  `json:"problems,omitempty"`
}

// Joined is what a recogniser's files say together. Relations go between Refs of Packages; a package's Ref
// must be set where a relation names it and is otherwise chosen later (its purl, or its purl and path).
type Joined struct {
	Packages  []seaworthy.Package
	Relations []seaworthy.Relation
	Problems  []seaworthy.Problem
}

// OSRelease is the operating system as os-release(5) names it.
type OSRelease struct {
	ID         string   `json:"id,omitempty"` // debian
	IDLike     []string `json:"idLike,omitempty"`
	VersionID  string   `json:"versionID,omitempty"` // 12
	Codename   string   `json:"codename,omitempty"`  // bookworm
	Name       string   `json:"name,omitempty"`
	PrettyName string   `json:"prettyName,omitempty"`
	Variant    string   `json:"variant,omitempty"` // VARIANT_ID
	CPE        string   `json:"cpe,omitempty"`     // CPE_NAME
	Homepage   string   `json:"homepage,omitempty"`
	BuildID    string   `json:"buildID,omitempty"`
}

// Distro returns the value of a purl's distro qualifier: "debian-12", or the ID alone.
func (r *OSRelease) Distro() string {
	switch {
	case r == nil || r.ID == "":
		return ""
	case r.VersionID == "":
		return r.ID
	}
	return r.ID + "-" + r.VersionID
}
