package bundle_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/trust/bundle"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

// The table of mutations: every field of good bundles is changed, removed, and swapped with that of another good
// bundle. reasons says, for each field, which checks may refuse it; "read" is an error of reading the bundle. A field
// that is not in the table, or a refusal for another reason, fails the test; so does a bundle that still passes, unless
// harmless says why it may.
const read bundle.Check = "read"

var reasons = map[string][]bundle.Check{
	"mediaType": {read, bundle.CheckLog}, // of an older version: what a newer one must have is then missing

	"messageSignature":                         {read, bundle.CheckSignature},
	"messageSignature.messageDigest":           {read},
	"messageSignature.messageDigest.algorithm": {read, bundle.CheckArtifact, bundle.CheckLog},
	"messageSignature.messageDigest.digest":    {bundle.CheckArtifact},
	"messageSignature.signature":               {read, bundle.CheckSignature},

	"dsseEnvelope":                    {read, bundle.CheckArtifact, bundle.CheckSignature},
	"dsseEnvelope.payload":            {read, bundle.CheckArtifact, bundle.CheckSignature},
	"dsseEnvelope.payloadType":        {bundle.CheckArtifact},
	"dsseEnvelope.signatures":         {read, bundle.CheckSignature},
	"dsseEnvelope.signatures[]":       {read, bundle.CheckSignature},
	"dsseEnvelope.signatures[].sig":   {read, bundle.CheckSignature},
	"dsseEnvelope.signatures[].keyid": {},

	"verificationMaterial":                                              {read, bundle.CheckSignature, bundle.CheckSigner},
	"verificationMaterial.certificate":                                  {read, bundle.CheckSignature},
	"verificationMaterial.certificate.rawBytes":                         {read, bundle.CheckSignature, bundle.CheckLog, bundle.CheckCertificate},
	"verificationMaterial.publicKey":                                    {read},
	"verificationMaterial.publicKey.hint":                               {},
	"verificationMaterial.x509CertificateChain":                         {read, bundle.CheckSignature},
	"verificationMaterial.x509CertificateChain.certificates":            {read, bundle.CheckSignature},
	"verificationMaterial.x509CertificateChain.certificates[]":          {read, bundle.CheckSignature},
	"verificationMaterial.x509CertificateChain.certificates[].rawBytes": {read, bundle.CheckSignature, bundle.CheckLog, bundle.CheckCertificate},

	"verificationMaterial.tlogEntries":                                         {bundle.CheckLog},
	"verificationMaterial.tlogEntries[]":                                       {read, bundle.CheckLog},
	"verificationMaterial.tlogEntries[].logIndex":                              {bundle.CheckLog},
	"verificationMaterial.tlogEntries[].logId":                                 {bundle.CheckLog},
	"verificationMaterial.tlogEntries[].logId.keyId":                           {bundle.CheckLog},
	"verificationMaterial.tlogEntries[].kindVersion":                           {bundle.CheckLog},
	"verificationMaterial.tlogEntries[].kindVersion.kind":                      {bundle.CheckLog},
	"verificationMaterial.tlogEntries[].kindVersion.version":                   {bundle.CheckLog},
	"verificationMaterial.tlogEntries[].integratedTime":                        {bundle.CheckLog},
	"verificationMaterial.tlogEntries[].inclusionPromise":                      {bundle.CheckLog, bundle.CheckTime},
	"verificationMaterial.tlogEntries[].inclusionPromise.signedEntryTimestamp": {bundle.CheckLog, bundle.CheckTime},
	"verificationMaterial.tlogEntries[].inclusionProof":                        {bundle.CheckLog},
	"verificationMaterial.tlogEntries[].inclusionProof.logIndex":               {bundle.CheckLog},
	"verificationMaterial.tlogEntries[].inclusionProof.rootHash":               {bundle.CheckLog},
	"verificationMaterial.tlogEntries[].inclusionProof.treeSize":               {bundle.CheckLog},
	"verificationMaterial.tlogEntries[].inclusionProof.hashes":                 {bundle.CheckLog},
	"verificationMaterial.tlogEntries[].inclusionProof.hashes[]":               {bundle.CheckLog},
	"verificationMaterial.tlogEntries[].inclusionProof.checkpoint":             {bundle.CheckLog},
	"verificationMaterial.tlogEntries[].inclusionProof.checkpoint.envelope":    {bundle.CheckLog},
	"verificationMaterial.tlogEntries[].canonicalizedBody":                     {read, bundle.CheckLog},

	"verificationMaterial.timestampVerificationData":                                     {bundle.CheckTime},
	"verificationMaterial.timestampVerificationData.rfc3161Timestamps":                   {bundle.CheckTime},
	"verificationMaterial.timestampVerificationData.rfc3161Timestamps[]":                 {bundle.CheckTime},
	"verificationMaterial.timestampVerificationData.rfc3161Timestamps[].signedTimestamp": {bundle.CheckTime},
}

// harmless are mutations after which a bundle may still pass, and why. A name before a field limits it to a bundle.
var harmless = map[string]string{
	"mediaType swapped":                           "a version only says what must be there, and all of it is",
	"dsseEnvelope.signatures[].keyid removed":     "nothing signs the name of the key (DSSE)",
	"verificationMaterial.publicKey.hint changed": "nothing signs the name of the key; the key itself is given",
	"verificationMaterial.publicKey.hint removed": "the same",
	"verificationMaterial.publicKey.hint cut":     "the same",
	"verificationMaterial.publicKey.hint longer":  "the same",

	"happy-path-v0.1 verificationMaterial.tlogEntries[].inclusionProof removed": "in v0.1 the log's promise is enough",
	"npm verificationMaterial.tlogEntries[].inclusionProof removed":             "in v0.1 the log's promise is enough",
	"npm verificationMaterial.timestampVerificationData removed":                "it is empty",

	// A bare key that is given needs neither log nor time; "with both demanded" is the same bundle when they are.
	"managed-key-happy-path verificationMaterial.timestampVerificationData swapped":                           "for npm's, which is empty",
	"managed-key-happy-path verificationMaterial.timestampVerificationData removed":                           "not demanded",
	"managed-key-happy-path verificationMaterial.timestampVerificationData.rfc3161Timestamps removed":         "not demanded",
	"managed-key-happy-path verificationMaterial.timestampVerificationData.rfc3161Timestamps[] removed":       "not demanded",
	"managed-key-happy-path verificationMaterial.tlogEntries removed":                                         "not demanded",
	"managed-key-happy-path verificationMaterial.tlogEntries[] removed":                                       "not demanded",
	"managed-key-happy-path verificationMaterial.tlogEntries[].logId swapped":                                 "an entry of a log that is not believed is not counted",
	"managed-key-happy-path verificationMaterial.tlogEntries[].logId.keyId swapped":                           "the same",
	"managed-key-happy-path verificationMaterial.tlogEntries[].logId.keyId changed":                           "the same",
	"managed-key-happy-path verificationMaterial.tlogEntries[].logId.keyId cut":                               "the same",
	"managed-key-happy-path verificationMaterial.tlogEntries[].logId.keyId longer":                            "the same",
	"managed-key-happy-path verificationMaterial.tlogEntries[].inclusionPromise removed":                      "there is a proof and another's time",
	"managed-key-happy-path verificationMaterial.tlogEntries[].inclusionPromise.signedEntryTimestamp removed": "there is a proof and another's time",
	"with both demanded verificationMaterial.tlogEntries[].inclusionPromise removed":                          "there is a proof and another's time",
	"with both demanded verificationMaterial.tlogEntries[].inclusionPromise.signedEntryTimestamp removed":     "there is a proof and another's time",
}

// good are bundles that verify, and how.
type good struct {
	name     string
	bundle   []byte
	artifact bundle.Artifact
	accept   bundle.Accept
	root     *root.Root
	options  bundle.Options
}

func (g good) verify(b []byte) error {
	u, err := bundle.Parse(b)
	if err != nil {
		if u != nil { // once so, when a certificate named nobody
			return seaworthy.Errorf(seaworthy.Internal, "an error and a bundle: %w", err)
		}
		return err
	}
	_, err = bundle.Verify(u, g.artifact, g.accept, g.root, g.options)
	return err
}

func goodBundles(t testing.TB) []good {
	var all []good
	for _, name := range vectorNames(t) {
		if !strings.HasSuffix(name, "_fail") {
			v := readVector(t, name)
			g := good{v.name, v.bundle, v.artifact, v.accept, v.root, bundle.Options{}}
			all = append(all, g)
			if len(v.accept.Keys) > 0 {
				g.name, g.options = "with both demanded", bundle.Options{RequireLog: true, RequireTimestamp: true}
				all = append(all, g)
			}
		}
	}
	if b, err := os.ReadFile(npmBundle); err == nil {
		a, err := bundle.DigestArtifact("sigstore-2.0.0.tgz", npmDigest)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, good{"npm", b, a, bundle.Accept{Identities: []bundle.Identity{{SubjectRegexp: `^https://github\.com/sigstore/sigstore-js/`, Issuer: githubActions}}}, publicGood(t), bundle.Options{}})
	}
	return all
}

// place is one field of a document.
type place []any // string for members, int for elements

var index = regexp.MustCompile(`\[\d+\]`)

func (p place) String() string {
	var b strings.Builder
	for i, step := range p {
		if n, ok := step.(int); ok {
			fmt.Fprintf(&b, "[%d]", n)
			continue
		}
		if i > 0 {
			b.WriteByte('.')
		}
		fmt.Fprint(&b, step)
	}
	return b.String()
}

// walk calls do with every field below v, itself included unless it is the document.
func walk(v any, at place, do func(place, any)) {
	if len(at) > 0 {
		do(slices.Clone(at), v)
	}
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			walk(v[name], append(at, name), do)
		}
	case []any:
		for i := range v {
			walk(v[i], append(at, i), do)
		}
	}
}

// with is the document with what is at a place replaced, or removed when there is no replacement.
func with(t *testing.T, doc []byte, at place, replacement ...any) []byte {
	t.Helper()
	var root any
	if err := json.Unmarshal(doc, &root); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(edit(root, at, replacement))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func edit(v any, at place, replacement []any) any {
	switch v := v.(type) {
	case map[string]any:
		name := at[0].(string)
		switch {
		case len(at) > 1:
			v[name] = edit(v[name], at[1:], replacement)
		case len(replacement) == 0:
			delete(v, name)
		default:
			v[name] = replacement[0]
		}
	case []any:
		i := at[0].(int)
		switch {
		case len(at) > 1:
			v[i] = edit(v[i], at[1:], replacement)
		case len(replacement) == 0:
			return slices.Delete(v, i, i+1)
		default:
			v[i] = replacement[0]
		}
	}
	return v
}

func at(v any, p place) (any, bool) {
	for _, step := range p {
		switch s := step.(type) {
		case string:
			m, ok := v.(map[string]any)
			if !ok {
				return nil, false
			}
			if v, ok = m[s]; !ok {
				return nil, false
			}
		case int:
			l, ok := v.([]any)
			if !ok || s >= len(l) {
				return nil, false
			}
			v = l[s]
		}
	}
	return v, true
}

// changes are ways to change a value a little: a bit in several places of bytes, the next number, a letter.
func changes(v any) map[string]any {
	out := map[string]any{}
	switch v := v.(type) {
	case string:
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			out["changed"] = strconv.FormatInt(n+1, 10)
			return out
		}
		if b, err := base64.StdEncoding.DecodeString(v); err == nil && len(b) > 3 {
			for _, i := range []int{0, len(b) / 7, len(b) / 3, len(b) / 2, len(b) * 3 / 4, len(b) - 1} {
				c := bytes.Clone(b)
				c[i] ^= 0x04
				out["changed at "+strconv.Itoa(i)] = base64.StdEncoding.EncodeToString(c)
			}
			out["cut"] = base64.StdEncoding.EncodeToString(b[:len(b)-1])
			out["longer"] = base64.StdEncoding.EncodeToString(append(bytes.Clone(b), 0))
			return out
		}
		lines := strings.SplitAfter(v, "\n")
		for i, line := range lines {
			if strings.TrimSpace(line) == "" {
				continue
			}
			c := slices.Clone(lines)
			c[i] = "x" + line
			out["changed in line "+strconv.Itoa(i)] = strings.Join(c, "")
		}
	case float64:
		out["changed"] = v + 1
	}
	return out
}

func TestEveryMutationIsRefused(t *testing.T) {
	all := goodBundles(t)
	docs := make([]any, len(all))
	for i, g := range all {
		if err := g.verify(g.bundle); err != nil {
			t.Fatalf("%s is not good: %v", g.name, err)
		}
		if err := json.Unmarshal(g.bundle, &docs[i]); err != nil {
			t.Fatal(err)
		}
	}
	count := 0
	for i, g := range all {
		t.Run(g.name, func(t *testing.T) {
			try := func(p place, what string, mutated []byte) {
				count++
				judge(t, g, index.ReplaceAllString(p.String(), "[]"), what, mutated)
			}
			walk(docs[i], nil, func(p place, v any) {
				try(p, "removed", with(t, g.bundle, p))
				for what, c := range changes(v) {
					try(p, what, with(t, g.bundle, p, c))
				}
				for j, other := range docs {
					if c, ok := at(other, p); ok && j != i && fmt.Sprint(c) != fmt.Sprint(v) {
						try(p, "swapped", with(t, g.bundle, p, c))
					}
				}
			})
		})
	}
	if t.Logf("%d mutations", count); count < 2000 {
		t.Errorf("only %d mutations were tried", count)
	}
}

// judge says whether a mutation ended as the table says.
func judge(t *testing.T, g good, field, what string, mutated []byte) {
	t.Helper()
	err := g.verify(mutated)
	kind, _, _ := strings.Cut(what, " ")
	if err == nil {
		if harmless[field+" "+kind] == "" && harmless[g.name+" "+field+" "+kind] == "" {
			t.Errorf("%s %s: still verified", field, what)
		}
		return
	}
	got := read
	if r := bundle.RefusalOf(err); r != nil {
		got = r.Check
	} else if c := seaworthy.CodeOf(err); c != seaworthy.Invalid && c != seaworthy.Unsupported && c != seaworthy.TooLarge {
		t.Errorf("%s %s: %v (code %s)", field, what, err, c)
	}
	if want, ok := reasons[field]; !ok {
		t.Errorf("%s: nobody said what must refuse it; %s it is refused with %v", field, what, err)
	} else if !slices.Contains(want, got) {
		t.Errorf("%s %s: refused by %q, want one of %q: %v", field, what, got, want, err)
	}
}
