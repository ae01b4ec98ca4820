package graph

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"io"
	"os"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/seaworthy-dev/seaworthy"
)

// Scope is something a token may be good for.
type Scope string

// The scopes. None includes another.
const (
	Read   Scope = "read"   // ask and look
	Ingest Scope = "ingest" // add documents
	Admin  Scope = "admin"  // retry jobs
)

// Scopes lists all of them.
func Scopes() []Scope { return []Scope{Read, Ingest, Admin} }

// Tokens say who may do what. The file has no token, only what tells one:
//
//	tokens:
//	  - name: ci                   # for people, and the log
//	    sha256: 2c26b46b68ffc68f…  # of the token: printf %s "$TOKEN" | sha256sum
//	    scopes: [read, ingest]     # of read, ingest, admin
type Tokens struct {
	list []token
}

type token struct {
	name   string
	sum    [sha256.Size]byte
	scopes []Scope
}

// Limits of a file of tokens, and of a token.
const (
	maxTokens     = 1000
	maxTokensFile = 1 << 20 // bytes
	minToken      = 16      // bytes; what is shorter can be guessed
	maxToken      = 4096    // bytes
)

// ReadTokens reads a file of tokens. Errors: NotFound; Forbidden when others than its owner may read or write it;
// Usage.
func ReadTokens(file string) (*Tokens, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.NotFound, "reading tokens from %q", file)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "looking at %q", file)
	case !info.Mode().IsRegular():
		return nil, seaworthy.Errorf(seaworthy.Forbidden, "reading tokens from %q: not a file", file)
	case info.Mode().Perm()&0o077 != 0:
		return nil, seaworthy.Errorf(seaworthy.Forbidden, "reading tokens from %q: others may use it (mode %04o)", file, info.Mode().Perm()).
			WithHint("chmod 600 %s", file)
	}
	t, err := ParseTokens(f)
	return t, seaworthy.Wrap(err, seaworthy.Usage, "reading tokens from %q", file)
}

// ParseTokens reads tokens from YAML, or JSON, which is YAML too. Errors: Usage.
func ParseTokens(r io.Reader) (*Tokens, error) {
	body, err := io.ReadAll(io.LimitReader(r, maxTokensFile+1))
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "reading tokens")
	}
	if len(body) > maxTokensFile {
		return nil, seaworthy.Errorf(seaworthy.Usage, "more than %d bytes", maxTokensFile)
	}
	var said struct {
		Tokens []struct {
			Name   string  `yaml:"name"`
			SHA256 string  `yaml:"sha256"`
			Scopes []Scope `yaml:"scopes"`
		} `yaml:"tokens"`
	}
	d := yaml.NewDecoder(bytes.NewReader(body))
	d.KnownFields(true)
	if err := d.Decode(&said); err != nil && err != io.EOF {
		return nil, seaworthy.Errorf(seaworthy.Usage, "%w", err)
	}
	if len(said.Tokens) == 0 || len(said.Tokens) > maxTokens {
		return nil, seaworthy.Errorf(seaworthy.Usage, "%d tokens; there must be from 1 to %d", len(said.Tokens), maxTokens)
	}
	t := new(Tokens)
	for i, s := range said.Tokens {
		one := token{name: s.Name, scopes: s.Scopes}
		switch n, err := hex.Decode(one.sum[:], []byte(s.SHA256[:min(len(s.SHA256), 2*sha256.Size)])); {
		case s.Name == "":
			return nil, seaworthy.Errorf(seaworthy.Usage, "token %d has no name", i+1)
		case slices.ContainsFunc(t.list, func(o token) bool { return o.name == s.Name }):
			return nil, seaworthy.Errorf(seaworthy.Usage, "two tokens are called %q", s.Name)
		case err != nil || n != sha256.Size || len(s.SHA256) != 2*sha256.Size:
			return nil, seaworthy.Errorf(seaworthy.Usage, "the sha256 of token %q is not 64 hexadecimal digits", s.Name).
				WithHint(`printf %%s "$TOKEN" | sha256sum`)
		case len(s.Scopes) == 0:
			return nil, seaworthy.Errorf(seaworthy.Usage, "token %q has no scopes", s.Name).WithHint("there are %s", joined(Scopes()))
		}
		for _, scope := range s.Scopes {
			if !slices.Contains(Scopes(), scope) {
				return nil, seaworthy.Errorf(seaworthy.Usage, "token %q: there is no scope %q", s.Name, scope).WithHint("there are %s", joined(Scopes()))
			}
		}
		t.list = append(t.list, one)
	}
	return t, nil
}

// With returns tokens with one more, which is good for everything: that of the program's owner on the same machine. It
// may be called on nil.
func (t *Tokens) With(name, secret string) *Tokens {
	all := new(Tokens)
	if t != nil {
		all.list = slices.Clone(t.list)
	}
	all.list = append(all.list, token{name: name, sum: sha256.Sum256([]byte(secret)), scopes: Scopes()})
	return all
}

// find returns whose token a secret is, and what it is good for. Every token is compared, in constant time.
func (t *Tokens) find(secret string) (name string, scopes []Scope, ok bool) {
	if len(secret) < minToken || len(secret) > maxToken {
		return "", nil, false
	}
	sum := sha256.Sum256([]byte(secret))
	for _, one := range t.list {
		if subtle.ConstantTimeCompare(one.sum[:], sum[:]) == 1 {
			name, scopes, ok = one.name, one.scopes, true
		}
	}
	return name, scopes, ok
}
