package oci

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/registry"
)

// Limits of a file of passwords.
const (
	maxUsersFile = 4 << 20
	maxCost      = 15 // of bcrypt; one more takes seconds a login
	// rememberFor is how long a password that was right is not computed again.
	rememberFor  = time.Minute
	maxRemember  = 4096
	lookAgain    = 2 * time.Second // how often the file is looked at for changes
	maxPassword  = 72              // bcrypt looks at no more
	maxComputing = 2               // passwords computed at the same time
)

// users are names and passwords from a file, which is read again when it has changed.
type users struct {
	file string
	now  func() time.Time
	turn chan struct{} // so that logins cannot take all processors
	key  [32]byte      // of the keyed hashes in right, which are useless elsewhere
	none []byte        // compared with when there is no such user, so that this takes as long

	mu     sync.Mutex
	hashes map[string][]byte // by name
	right  map[[32]byte]time.Time
	seen   os.FileInfo
	looked time.Time
}

// openUsers reads a file of "name:bcrypt" lines. Errors: Usage, NotFound.
func openUsers(file string, now func() time.Time) (*users, error) {
	u := &users{file: file, now: now, turn: make(chan struct{}, maxComputing)}
	if _, err := rand.Read(u.key[:]); err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Internal, "making a key")
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.NotFound, "reading users from %q", file)
	}
	if err := u.read(info); err != nil {
		return nil, err
	}
	if u.none, err = bcrypt.GenerateFromPassword(u.key[:16], bcrypt.DefaultCost); err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Internal, "making a password")
	}
	return u, nil
}

// read reads the file; u.mu is held, or nobody else has u.
func (u *users) read(info os.FileInfo) error {
	if info.Size() > maxUsersFile {
		return seaworthy.Errorf(seaworthy.Usage, "reading users from %q: it is larger than %d bytes", u.file, maxUsersFile)
	}
	b, err := os.ReadFile(u.file)
	if err != nil {
		return seaworthy.Wrap(err, seaworthy.NotFound, "reading users from %q", u.file)
	}
	hashes := map[string][]byte{}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, hash, ok := strings.Cut(line, ":")
		cost, err := bcrypt.Cost([]byte(hash))
		if !ok || err != nil || cost > maxCost || name == "" || name == registry.Anonymous || name == "*" || hashes[name] != nil {
			// The line itself may be a password, so it is not shown.
			return seaworthy.Errorf(seaworthy.Usage, "reading users from %q: line %d is not a new name, a colon and a bcrypt hash of cost up to %d", u.file, n, maxCost).
				WithHint("htpasswd -B writes such lines")
		}
		hashes[name] = []byte(hash)
	}
	u.hashes, u.right, u.seen = hashes, map[[32]byte]time.Time{}, info
	return nil
}

// refresh reads the file again when it has changed. When that goes wrong, the users stay as they were.
func (u *users) refresh() error {
	now := u.now()
	if now.Sub(u.looked) < lookAgain {
		return nil
	}
	u.looked = now
	info, err := os.Stat(u.file)
	if err != nil || info.ModTime().Equal(u.seen.ModTime()) && info.Size() == u.seen.Size() {
		return err
	}
	return u.read(info)
}

// check reports whether that is the user's password. It may have to wait.
func (u *users) check(ctx context.Context, name, password string) bool {
	sum := hmac.New(sha256.New, u.key[:])
	sum.Write([]byte(name + "\x00" + password))
	var id [32]byte
	sum.Sum(id[:0])

	u.mu.Lock()
	_ = u.refresh()
	hash := u.hashes[name]
	until, known := u.right[id]
	u.mu.Unlock()
	if known && u.now().Before(until) {
		return true
	}
	exists := hash != nil && len(password) <= maxPassword
	if !exists {
		hash, password = u.none, "x"
	}
	select {
	case u.turn <- struct{}{}:
		defer func() { <-u.turn }()
	case <-ctx.Done():
		return false
	}
	if bcrypt.CompareHashAndPassword(hash, []byte(password)) != nil || !exists {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if bytes.Equal(u.hashes[name], hash) { // not changed meanwhile
		if len(u.right) >= maxRemember {
			clear(u.right)
		}
		u.right[id] = u.now().Add(rememberFor)
	}
	return true
}
