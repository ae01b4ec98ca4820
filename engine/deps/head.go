package deps

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// maxRefFile is the most that is read of a file of git's: 16 MiB, enough for some hundred thousand packed refs.
const maxRefFile = 16 << 20

var (
	objectName = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
	// refName keeps to names that stay below the repository's own directory (git-check-ref-format(1)).
	refName = regexp.MustCompile(`^refs/[A-Za-z0-9][^\x00-\x20\x7f~^:?*\[\\]*$`)
)

// Head returns the commit and branch that are checked out where dir is, as gitrepository-layout(5) describes it;
// git is not run. ref is "" when no branch is. Errors: NotFound, when dir is in no checkout or has no commit yet;
// Invalid.
func Head(dir string) (sha, ref string, err error) {
	git, err := gitDir(dir)
	if err != nil {
		return "", "", err
	}
	head, err := readSmall(filepath.Join(git, "HEAD"))
	if err != nil {
		return "", "", seaworthy.Wrap(err, seaworthy.NotFound, "reading the HEAD of %q", dir)
	}
	name, symbolic := strings.CutPrefix(strings.TrimSpace(head), "ref: ")
	if !symbolic {
		if !objectName.MatchString(name) {
			return "", "", seaworthy.Errorf(seaworthy.Invalid, "reading the HEAD of %q: %.80q is neither a commit nor a branch", dir, name)
		}
		return name, "", nil
	}
	name = strings.TrimSpace(name)
	if !refName.MatchString(name) || strings.Contains(name, "..") {
		return "", "", seaworthy.Errorf(seaworthy.Invalid, "reading the HEAD of %q: %.80q is no branch", dir, name)
	}
	for _, at := range []string{git, commonDir(git)} {
		if loose, err := readSmall(filepath.Join(at, filepath.FromSlash(name))); err == nil && objectName.MatchString(strings.TrimSpace(loose)) {
			return strings.TrimSpace(loose), name, nil
		}
		if packed, err := readSmall(filepath.Join(at, "packed-refs")); err == nil {
			for line := range strings.Lines(packed) {
				sha, at, _ := strings.Cut(strings.TrimSpace(line), " ")
				if at == name && objectName.MatchString(sha) {
					return sha, name, nil
				}
			}
		}
	}
	return "", name, seaworthy.Errorf(seaworthy.NotFound, "reading the HEAD of %q: %s has no commit that can be read", dir, name)
}

// gitDir finds the .git that dir belongs to: a directory, or a file that names one (worktrees and submodules).
func gitDir(dir string) (string, error) {
	at, err := filepath.Abs(dir)
	if err != nil {
		return "", seaworthy.Wrap(err, seaworthy.NotFound, "looking for the repository of %q", dir)
	}
	for {
		git := filepath.Join(at, ".git")
		if info, err := os.Stat(git); err == nil {
			if info.IsDir() {
				return git, nil
			}
			text, err := readSmall(git)
			if err != nil {
				return "", seaworthy.Wrap(err, seaworthy.NotFound, "reading %q", git)
			}
			to, ok := strings.CutPrefix(strings.TrimSpace(text), "gitdir: ")
			if !ok {
				return "", seaworthy.Errorf(seaworthy.Invalid, "reading %q: it names no repository", git)
			}
			if !filepath.IsAbs(to) {
				to = filepath.Join(at, to)
			}
			return to, nil
		}
		up := filepath.Dir(at)
		if up == at {
			return "", seaworthy.Errorf(seaworthy.NotFound, "looking for the repository of %q: neither it nor a directory above has a .git", dir)
		}
		at = up
	}
}

// commonDir is where a worktree's branches are.
func commonDir(git string) string {
	text, err := readSmall(filepath.Join(git, "commondir"))
	if err != nil {
		return git
	}
	to := strings.TrimSpace(text)
	if !filepath.IsAbs(to) {
		to = filepath.Join(git, to)
	}
	return to
}

func readSmall(name string) (string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", errors.Join(fs.ErrInvalid, errors.New("not a file"))
	}
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxRefFile))
	return string(b), err
}
