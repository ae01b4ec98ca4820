package main

import (
	"context"
	"io"
	"strconv"

	pbbundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	pbrekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/ledger"
	"github.com/seaworthy-dev/seaworthy/internal/durable"
)

func newLogVerify(a *app) *cobra.Command {
	var o logFlags
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "Check that what a bundle says was logged still is",
		Long: `Verify reads a bundle, or an entry as log proof prints it, checks its proof, and then reads the log and checks that
it still contains the tree the proof was made for. It does not say who signed: that is seaworthy verify.`,
		Example: "  seaworthy log verify app.sigstore.json --log data",
		Args:    takes("seaworthy log verify app.sigstore.json --log data", "FILE"),
	}
	o.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		entries, err := a.readLogged(args[0])
		if err != nil {
			return err
		}
		p, err := a.openPlace(o)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := a.verifyLogged(cmd.Context(), p, e); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

// readLogged reads the entries of a bundle, or one entry.
func (a *app) readLogged(name string) ([]*pbrekor.TransparencyLogEntry, error) {
	f, err := a.openFile(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	const limit = 16 << 20
	body, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && len(body) > limit {
		err = seaworthy.Errorf(seaworthy.TooLarge, "more than %d bytes", limit)
	}
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "reading %q", name)
	}
	entry := new(pbrekor.TransparencyLogEntry)
	if protojson.Unmarshal(body, entry) == nil && len(entry.GetCanonicalizedBody()) > 0 {
		return []*pbrekor.TransparencyLogEntry{entry}, nil
	}
	bundle := new(pbbundle.Bundle)
	if err := protojson.Unmarshal(body, bundle); err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading %q: neither an entry nor a bundle", name)
	}
	entries := bundle.GetVerificationMaterial().GetTlogEntries()
	if len(entries) == 0 {
		return nil, seaworthy.Errorf(seaworthy.Refused, "reading %q: it says nothing of a log", name)
	}
	return entries, nil
}

func (a *app) verifyLogged(ctx context.Context, p *logPlace, e *pbrekor.TransparencyLogEntry) error {
	if err := ledger.Verify(e, p.verifier); err != nil {
		return err
	}
	size, err := ledger.Contains(ctx, p, p.origin, p.verifier, []byte(e.GetInclusionProof().GetCheckpoint().GetEnvelope()))
	if err != nil {
		return err
	}
	_, err = io.WriteString(a.stdout, "entry "+strconv.FormatInt(e.GetLogIndex(), 10)+" of "+p.origin+" is in the log, which has "+strconv.FormatUint(size, 10)+" entries\n")
	return seaworthy.Wrap(err, seaworthy.Storage, "writing the answer")
}

// writeState keeps a checkpoint that was seen.
func writeState(name string, body []byte) error {
	var disk *durable.Disk
	return seaworthy.Wrap(disk.WriteFile(name, body), seaworthy.Storage, "writing %q", name)
}
