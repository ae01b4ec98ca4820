package admit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/policy"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

// Limits of a folder with policies.
const (
	maxPolicyFiles = 1000
	maxPolicyBytes = 4 << 20  // 4 MiB a file
	maxPolicyTotal = 64 << 20 // 64 MiB altogether
	// settle is how long a folder must stay as it is before it is read: whoever writes several files has finished then.
	settle = 200 * time.Millisecond
)

// Folder is a folder with policies, one file or a link to either: *.yaml, *.yml and *.json, in it and in the folders
// below it. Names that begin with a dot are left out, which also makes a mounted ConfigMap be read once.
type Folder struct {
	Path    string
	Options policy.Options
	// Root is read anew each time the folder is, so that a trusted root can be replaced. nil: Options.Root stays.
	Root func() (*root.Root, error)
	// Also are further files whose change counts: that of the trusted root.
	Also []string

	last string // what the folder looked like when it was read; owned by Load and Watch, which are not called at once
}

// Files reads the files. Errors: NotFound, TooLarge, Storage.
func (f *Folder) Files() ([]policy.File, error) {
	names, err := f.names()
	if err != nil {
		return nil, err
	}
	var out []policy.File
	total := 0
	for _, name := range names {
		b, err := readFile(name)
		if err != nil {
			return nil, err
		}
		if total += len(b); total > maxPolicyTotal {
			return nil, seaworthy.Errorf(seaworthy.TooLarge, "reading policies in %q: more than %d bytes", f.Path, maxPolicyTotal)
		}
		out = append(out, policy.File{Name: name, Bytes: b})
	}
	return out, nil
}

func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err == nil && info.Size() > maxPolicyBytes {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "reading %q: more than %d bytes", name, maxPolicyBytes)
	}
	if err == nil && !info.Mode().IsRegular() {
		return nil, seaworthy.Errorf(seaworthy.Unsupported, "reading %q: it is no file", name)
	}
	b, err := os.ReadFile(name)
	return b, seaworthy.Wrap(err, seaworthy.Storage, "reading %q", name)
}

// names lists the files, sorted.
func (f *Folder) names() ([]string, error) {
	info, err := os.Stat(f.Path)
	if err != nil {
		code := seaworthy.Storage
		if errors.Is(err, fs.ErrNotExist) {
			code = seaworthy.NotFound
		}
		return nil, seaworthy.Wrap(err, code, "looking for policies in %q", f.Path)
	}
	if !info.IsDir() {
		return []string{f.Path}, nil
	}
	start, err := filepath.EvalSymlinks(f.Path)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "looking for policies in %q", f.Path)
	}
	var out []string
	err = filepath.WalkDir(start, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name == start:
			return nil
		case strings.HasPrefix(d.Name(), ".") && d.IsDir():
			return fs.SkipDir
		case strings.HasPrefix(d.Name(), ".") || d.IsDir():
			return nil
		}
		switch strings.ToLower(filepath.Ext(name)) {
		case ".yaml", ".yml", ".json":
			out = append(out, name)
		}
		if len(out) > maxPolicyFiles {
			return seaworthy.Errorf(seaworthy.TooLarge, "more than %d files", maxPolicyFiles)
		}
		return nil
	})
	slices.Sort(out)
	return out, seaworthy.Wrap(err, seaworthy.Storage, "looking for policies in %q", f.Path)
}

// Loaded is what a folder gave.
type Loaded struct {
	Set      *policy.Set
	Root     *root.Root
	Files    []policy.File
	Mistakes []policy.Mistake // that are only warnings, when there is no error
}

// Load reads the folder. Errors: Invalid when any policy has a mistake, which are in Loaded; those of Files and Root.
func (f *Folder) Load() (*Loaded, error) {
	print, err := f.print()
	if err != nil {
		return nil, err
	}
	files, err := f.Files()
	if err != nil {
		return nil, err
	}
	out := &Loaded{Files: files, Root: f.Options.Root}
	if f.Root != nil {
		if out.Root, err = f.Root(); err != nil {
			return nil, err
		}
	}
	o := f.Options
	o.Root = out.Root
	f.last = print
	out.Set, out.Mistakes = policy.Load(files, o)
	return out, mistaken(f.Path, out.Mistakes)
}

// mistaken is the error of mistakes that are no warnings.
func mistaken(where string, mistakes []policy.Mistake) error {
	var wrong []policy.Mistake
	for _, m := range mistakes {
		if !m.Warning {
			wrong = append(wrong, m)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	more := ""
	if len(wrong) > 1 {
		more = fmt.Sprintf(", and %d more", len(wrong)-1)
	}
	err := seaworthy.Errorf(seaworthy.Invalid, "reading policies in %q: %w%s", where, wrong[0], more)
	if wrong[0].Hint != "" {
		return err.WithHint("%s", wrong[0].Hint)
	}
	return err.WithHint("seaworthy gate lint %s says everything that is wrong", where)
}

// print tells whether the folder has changed: by the names and the content of the files.
func (f *Folder) print() (string, error) {
	names, err := f.names()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, name := range slices.Concat(names, f.Also) {
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) && slices.Contains(f.Also, name) {
			continue
		}
		if err != nil {
			return "", seaworthy.Wrap(err, seaworthy.Storage, "reading %q", name)
		}
		fmt.Fprintf(h, "%q %d\n", name, info.Size())
		if info.Size() <= maxPolicyBytes && info.Mode().IsRegular() {
			b, err := os.ReadFile(name)
			if err != nil {
				return "", seaworthy.Wrap(err, seaworthy.Storage, "reading %q", name)
			}
			h.Write(b)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Watch looks at the folder every so often, and tells what it gives when it has changed, until ctx ends. What was
// wrong is told too; whoever is told then keeps what was sound.
func (f *Folder) Watch(ctx context.Context, every time.Duration, tell func(*Loaded, error)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	wrong := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, err := f.print()
		if err == nil && now == f.last {
			wrong = ""
			continue
		}
		if err == nil {
			select {
			case <-ctx.Done():
				return
			case <-time.After(min(settle, every)):
			}
			again, aerr := f.print()
			if aerr != nil || again != now {
				continue // it is being written
			}
			f.last = now
			loaded, err := f.Load()
			tell(loaded, err)
			continue
		}
		if err.Error() != wrong { // once, not every time
			wrong = err.Error()
			tell(nil, err)
		}
	}
}
