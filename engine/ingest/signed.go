package ingest

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/intoto"
	"github.com/seaworthy-dev/seaworthy/format/vcs"
	"github.com/seaworthy-dev/seaworthy/internal/exactjson"
	"github.com/seaworthy-dev/seaworthy/trust/bundle"
)

// maxSignatures is how many signatures of one envelope are looked at.
const maxSignatures = 16

// signer is somebody who is proven to have signed.
type signer struct {
	actor seaworthy.Subject
	attrs []string
	// repository and commit are those of the workflow that signed, as the certificate has them.
	repository, commit string
}

// whoSigned asks who signed a bundle, and notes the answer. It changes nothing of what the document says.
func (r *reader) whoSigned(u *bundle.Unverified) {
	e, err := bundle.WhoSigned(u, "it", r.keys, r.root, bundle.Options{})
	v := &r.doc.Verification
	if err != nil {
		if v.State != seaworthy.VerifiedState {
			v.State = seaworthy.UnverifiableState
		}
		v.Detail = joined(v.Detail, reason(err))
		return
	}
	s := signer{actor: actorOf(e.Signer), repository: e.Signer.Claims["source-repository-uri"], commit: e.Signer.Claims["source-repository-digest"]}
	how, log, logURI, at := e.Format, "", "", ""
	if len(e.Logs) > 0 {
		log, logURI = strconv.FormatInt(e.Logs[0].Index, 10), e.Logs[0].URI
	}
	if len(e.Times) > 0 {
		first := slices.MinFunc(e.Times, func(a, b bundle.Time) int { return a.Time.Compare(b.Time) })
		at = stamp(first.Time)
	}
	s.attrs = []string{"how", how, "log", log, "logURI", logURI, "time", at}
	if v.State != seaworthy.VerifiedState {
		v.Detail = joined(how, v.Detail)
	}
	v.State = seaworthy.VerifiedState
	if !slices.Contains(v.Signers, s.actor.Key) {
		v.Signers = append(v.Signers, s.actor.Key)
	}
	r.signedBy = append(r.signedBy, s)
}

// unreadable marks a document whose signature is there and cannot even be read.
func (r *reader) unreadable(err error) {
	v := &r.doc.Verification
	if v.State != seaworthy.VerifiedState {
		v.State = seaworthy.UnverifiableState
	}
	v.Detail = joined(v.Detail, err.Error())
}

func joined(a, b string) string {
	if a == "" || b == "" || strings.Contains(a, b) {
		return cmp.Or(a, b)
	}
	return a + "; " + b
}

// reason is a refusal without the words around it.
func reason(err error) string {
	if r := bundle.RefusalOf(err); r != nil {
		return r.Error()
	}
	return err.Error()
}

// actorOf is the subject of a signer who was proven.
func actorOf(s bundle.Signer) seaworthy.Subject {
	if s.Identity != "" {
		return actor("identity:" + s.Identity + "|" + s.Issuer)
	}
	return actor("key:" + string(s.Key))
}

// saySigned says who signed the document.
func (r *reader) saySigned() {
	for _, s := range r.signedBy {
		r.say(r.subject(), seaworthy.SaysSigned, s.actor, s.attrs...)
	}
}

// signs says who signed artifacts, of a document that says no more than that, and from which source: a workflow that
// signs what it made is certified together with the commit it ran at.
func (r *reader) signs(about []seaworthy.Subject) {
	for _, a := range about {
		for _, s := range r.signedBy {
			r.say(a, seaworthy.SaysSigned, s.actor, s.attrs...)
			if l, err := vcs.Parse(s.repository); err == nil {
				r.say(a, seaworthy.SaysSource, r.source(l.At(s.commit)), "how", "certificate")
			}
		}
	}
}

// readBundle reads a Sigstore bundle: the statement in it, or that it signs an artifact.
func (r *reader) readBundle(body []byte) error {
	u, err := bundle.Parse(body)
	if err != nil {
		return err
	}
	r.doc.MediaType = bundle.MediaType
	return r.sayBundle(u, "Sigstore ")
}

func (r *reader) sayBundle(u *bundle.Unverified, prefix string) error {
	r.whoSigned(u)
	r.saySigned()
	c := u.UnsafeClaims()
	r.doc.Format = prefix + c.Format
	switch {
	case c.PayloadType == intoto.PayloadType:
		return r.readStatement(c.Payload)
	case c.Artifact != "":
		r.doc.Kind = seaworthy.SignatureDocument
		a := artifact(c.Artifact)
		r.describes(a)
		r.signs([]seaworthy.Subject{a})
		r.doc.Name = string(c.Artifact)
		if c.PayloadType == bundle.SimpleSigningType {
			return r.nameImage(c.Payload, a)
		}
		return nil
	case c.PayloadType != "":
		return seaworthy.Errorf(seaworthy.Unsupported, "it is a signed envelope with a %q, which is no statement", c.PayloadType)
	}
	return seaworthy.Errorf(seaworthy.Unsupported, "it is a signature over a file, and does not say which").
		WithHint("seaworthy verify checks it against the file")
}

// nameImage makes an image findable by what a simple-signing payload calls it.
func (r *reader) nameImage(payload []byte, image seaworthy.Subject) error {
	var s bundle.SimpleSigning
	if err := exactjson.Unmarshal(payload, &s); err != nil {
		return err
	}
	if name := s.Critical.Identity.Reference; name != "" {
		r.doc.Name = name
		r.name(image, name)
	}
	return nil
}

// readSimpleSigning reads the payload of an old image signature by itself: the signature is elsewhere.
func (r *reader) readSimpleSigning(body []byte) error {
	var s bundle.SimpleSigning
	if err := exactjson.Unmarshal(body, &s); err != nil {
		return err
	}
	d, err := seaworthy.ParseDigest(s.Critical.Image.Digest)
	if err != nil {
		return seaworthy.Wrap(err, seaworthy.Invalid, "reading the payload of an image signature")
	}
	r.doc.Kind, r.doc.Format, r.doc.MediaType = seaworthy.SignatureDocument, "cosign payload", bundle.SimpleSigningType
	r.doc.Verification = seaworthy.Verification{State: seaworthy.UnsignedState, Detail: "the signature is not with it"}
	r.doc.Name = string(d)
	r.describes(artifact(d))
	return r.nameImage(body, artifact(d))
}

// readEnvelope reads a DSSE envelope by itself. annotations are those of the image layer it was in.
func (r *reader) readEnvelope(body []byte, annotations map[string]string) error {
	var e struct {
		PayloadType string `json:"payloadType"`
		Payload     []byte `json:"payload"`
		Signatures  []struct {
			KeyID string `json:"keyid,omitempty"`
			Sig   []byte `json:"sig"`
			Cert  string `json:"cert,omitempty"` // slsa-github-generator
		} `json:"signatures"`
	}
	if err := exactjson.Unmarshal(body, &e); err != nil {
		return seaworthy.Wrap(err, seaworthy.Invalid, "reading a DSSE envelope")
	}
	if err := exactjson.Lookalikes(body, "payloadType", "payload", "signatures"); err != nil {
		return seaworthy.Wrap(err, seaworthy.Invalid, "reading a DSSE envelope")
	}
	if e.PayloadType != intoto.PayloadType {
		return seaworthy.Errorf(seaworthy.Unsupported, "it is a signed envelope with a %q, which is no statement", e.PayloadType)
	}
	if len(e.Signatures) > maxSignatures {
		return seaworthy.Errorf(seaworthy.TooLarge, "reading a DSSE envelope: %d signatures; the limit is %d", len(e.Signatures), maxSignatures)
	}
	r.doc.Format, r.doc.MediaType = "DSSE envelope", bundle.EnvelopeType
	one := e
	for _, s := range e.Signatures {
		one.Signatures = append(one.Signatures[:0:0], s)
		b, err := json.Marshal(one)
		if err != nil {
			return seaworthy.Errorf(seaworthy.Internal, "taking an envelope apart: %w", err)
		}
		with := annotations
		if s.Cert != "" && annotations[bundle.CosignCertificate] == "" {
			with = map[string]string{bundle.CosignCertificate: s.Cert}
		}
		u, err := bundle.Cosign(bundle.EnvelopeType, with, b)
		if err != nil {
			r.unreadable(err)
			continue
		}
		r.whoSigned(u)
	}
	r.saySigned()
	return r.readStatement(e.Payload)
}
