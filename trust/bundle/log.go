package bundle

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	sigroot "github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
	"google.golang.org/protobuf/proto"

	"github.com/seaworthy-dev/seaworthy/trust/key"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

type (
	timestamp = sigroot.Timestamp
	verify1   = signature.VerifyOption
)

func quote(s string) string { return strconv.Quote(s) }

// note keeps something that was not counted, for people and for the refusal that may follow.
func (v *verification) note(format string, args ...any) {
	v.evidence.Notes = append(v.evidence.Notes, fmt.Sprintf(format, args...))
}

// because is the notes as the end of a sentence.
func (v *verification) because() string {
	var b bytes.Buffer
	for _, n := range v.evidence.Notes {
		b.WriteString("; " + n)
	}
	return b.String()
}

// material is a root that knows the key that signed too.
type material struct {
	*root.Root
	key key.Public
	use key.Use
}

// PublicKeyVerifier gives the accepted key that fits, whatever the bundle calls it.
func (m material) PublicKeyVerifier(string) (sigroot.TimeConstrainedVerifier, error) {
	ways, err := m.key.Verifiers(m.use)
	if err != nil {
		return nil, err
	}
	return sigroot.NewExpiringKey(ways[0].Verifier, time.Time{}, time.Time{}), nil
}

// single is a bundle as if it had one log entry.
type single struct {
	entity
	entry *tlog.Entry
}

func (s single) TlogEntries() ([]*tlog.Entry, error) { return []*tlog.Entry{s.entry}, nil }

// checkLog: every entry shows exactly this signature, whatever log it is of; every entry of a log that is believed
// is proven; and one is there when one must be.
func (v *verification) checkLog() error {
	if v.root == nil {
		return nil
	}
	needed := v.o.RequireLog || v.u.cert != nil && !v.o.UnsafeNoLog
	seen := map[string]bool{}
	for i, entry := range v.u.entries {
		where := fmt.Sprintf("log entry %d", i+1)
		if len(v.u.entries) == 1 {
			where = "the log entry"
		}
		if entry.trouble != nil {
			return v.refuse(CheckLog, "%s is not one of this signature: %v", where, entry.trouble)
		}
		e := entry.entry
		id := hex.EncodeToString([]byte(e.LogKeyID()))
		if name := id + "/" + strconv.FormatInt(e.LogIndex(), 10); seen[name] {
			return v.refuse(CheckLog, "%s is there twice", where)
		} else {
			seen[name] = true
		}
		if why := v.entryIsOther(e); why != "" {
			return v.refuse(CheckLog, "%s %s", where, why)
		}
		log, known := v.root.RekorLogs()[id]
		if !known {
			v.note("%s is not counted: its log %s is not in the trusted root", where, id[:min(len(id), 16)])
			continue
		}
		if err := v.checkEntry(e, where, log); err != nil {
			return err
		}
	}
	if needed && len(v.evidence.Logs) == 0 {
		if len(v.u.entries) == 0 {
			return v.refuse(CheckLog, "it is in no log: there is no log entry")
		}
		if v.u.cert != nil {
			if _, err := verify.VerifyLeafCertificate(v.u.cert.NotBefore, v.u.cert, v.root); err != nil {
				return v.refuse(CheckCertificate, "%s%s", v.whyNoChain(v.u.cert.NotBefore), v.because())
			}
		}
		return v.refuse(CheckLog, "it is in no log that is believed%s", v.because())
	}
	return nil
}

// entryIsOther says how an entry speaks of something else than this signature, or "". What it says is not proven
// yet, but what is wrong is wrong in any log.
func (v *verification) entryIsOther(e *tlog.Entry) string {
	tle := e.TransparencyLogEntry()
	var body struct {
		Kind    string `json:"kind"`
		Version string `json:"apiVersion"`
	}
	if err := json.Unmarshal(tle.GetCanonicalizedBody(), &body); err != nil {
		return "cannot be read"
	}
	if k := tle.GetKindVersion(); k.GetKind() != body.Kind || k.GetVersion() != body.Version {
		return fmt.Sprintf("is called a %s %s, and is a %s %s", quote(k.GetKind()), quote(k.GetVersion()), quote(body.Kind), quote(body.Version))
	}
	if !bytes.Equal(e.Signature(), v.u.signature) {
		return "shows another signature"
	}
	m := material{v.root, v.key, key.Message}
	if !v.u.content.CompareKey(e.PublicKey(), m) {
		if v.u.cert != nil {
			return "shows another certificate"
		}
		return "shows another key"
	}
	if !v.u.isEnvelope {
		if d, _, ok := e.GetHashedRekordDigest(); !ok || !bytes.Equal(d, v.u.digest) {
			return "shows another digest"
		}
	}
	return ""
}

// checkEntry proves an entry of a log that is believed.
func (v *verification) checkEntry(e *tlog.Entry, where string, log *sigroot.TransparencyLog) error {
	tle := e.TransparencyLogEntry()
	switch {
	case !e.HasInclusionPromise() && v.u.version == "v0.1":
		return v.refuse(CheckLog, "%s has no promise of the log (SET), which a bundle v0.1 must have", where)
	case !e.HasInclusionProof() && v.u.version != "v0.1":
		return v.refuse(CheckLog, "%s has no inclusion proof, which a bundle %s must have", where, v.u.version)
	case !e.HasInclusionProof() && !e.HasInclusionPromise():
		return v.refuse(CheckLog, "%s has neither an inclusion proof nor the log's promise", where)
	case e.IsRekorV2() && (tle.GetIntegratedTime() != 0 || e.HasInclusionPromise()):
		return v.refuse(CheckLog, "%s claims a time, which logs of its kind do not sign", where)
	case e.IsRekorV2() && tle.GetLogIndex() != tle.GetInclusionProof().GetLogIndex():
		return v.refuse(CheckLog, "%s says it is number %d, and its proof is for number %d", where, tle.GetLogIndex(), tle.GetInclusionProof().GetLogIndex())
	}
	if why := otherCheckpoint(tle.GetInclusionProof()); why != "" {
		return v.refuse(CheckLog, "%s %s", where, why)
	}
	times, err := v.root.LogEntry(v.question(tle), func() ([]timestamp, error) {
		return verify.VerifyTlogEntry(single{entity{v.u}, e}, material{v.root, v.key, key.Message}, 1, true)
	})
	if err != nil {
		if e.HasInclusionPromise() {
			if why := tlog.VerifySET(e, v.root.RekorLogs()); why != nil {
				return v.refuse(CheckLog, "%s has a promise (SET) that is not the log's: %v", where, why)
			}
		}
		return v.refuse(CheckLog, "%s is not proven: %v", where, err)
	}
	l := LogEntry{
		URI: log.BaseURL, LogID: hex.EncodeToString(log.ID), Index: tle.GetLogIndex(), Kind: tle.GetKindVersion().GetKind() + " " + tle.GetKindVersion().GetVersion(),
		Promise: e.HasInclusionPromise(), from: log.ValidityPeriodStart, until: log.ValidityPeriodEnd,
	}
	if p := tle.GetInclusionProof(); p != nil {
		l.TreeSize, l.RootHash = p.GetTreeSize(), hex.EncodeToString(p.GetRootHash())
	}
	if e.HasInclusionPromise() {
		l.Integrated = e.IntegratedTime().UTC()
	}
	v.evidence.Logs = append(v.evidence.Logs, l)
	for _, t := range times {
		v.evidence.Times = append(v.evidence.Times, Time{Source: "log", URI: t.URI, Time: t.Time.UTC()})
	}
	return nil
}

// question is a digest of all that decides whether an entry proves this signature: the entry, the signature, what it
// is over and the key or certificate.
func (v *verification) question(tle *protorekor.TransparencyLogEntry) [sha256.Size]byte {
	h := sha256.New()
	part := func(b []byte) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	entry, err := proto.MarshalOptions{Deterministic: true}.Marshal(tle)
	if err != nil {
		entry = fmt.Append(nil, rand.Text()) // never seen before
	}
	part(entry)
	part(v.u.signature)
	part([]byte(v.u.hash))
	part(v.u.digest)
	part([]byte(v.u.payloadType))
	part(v.u.payload)
	part(v.key.DER())
	if v.u.cert != nil {
		part(v.u.cert.Raw)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// otherCheckpoint says how a proof contradicts its own checkpoint, or "". The library proves against the one or the
// other, depending on the log, and both are shown to people.
func otherCheckpoint(p *protorekor.InclusionProof) string {
	if p == nil {
		return ""
	}
	lines := strings.SplitN(p.GetCheckpoint().GetEnvelope(), "\n", 4) // origin, size, root hash (C2SP tlog-checkpoint)
	if len(lines) < 4 {
		return "has a checkpoint that is none"
	}
	if lines[1] != strconv.FormatInt(p.GetTreeSize(), 10) {
		return fmt.Sprintf("says its tree has %d entries, and its checkpoint says %s", p.GetTreeSize(), quote(lines[1]))
	}
	if lines[2] != encode64(p.GetRootHash()) {
		return "says another root hash than its checkpoint"
	}
	return ""
}
