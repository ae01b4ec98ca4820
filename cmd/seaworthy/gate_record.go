package main

import (
	"context"
	"encoding/json"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/admit"
	"github.com/seaworthy-dev/seaworthy/engine/ingest"
)

// gateOrigin is where verdicts come from, as the graph says.
const gateOrigin = "gate"

// recorderFunc keeps the bytes of a verdict. It implements admit.Recorder.
type recorderFunc func(ctx context.Context, origin string, body []byte) error

// Record implements admit.Recorder: a verdict is a document like any other.
func (f recorderFunc) Record(ctx context.Context, v seaworthy.Verdict) error {
	body, err := json.Marshal(v)
	if err != nil {
		return seaworthy.Wrap(err, seaworthy.Internal, "writing a verdict")
	}
	return f(ctx, gateOrigin, body)
}

// openRecorder opens the graph that decisions are kept in; nil when none was named.
func (a *app) openRecorder(ctx context.Context, o storeFlags) (admit.Recorder, func() error, error) {
	if o.store == "" {
		return nil, func() error { return nil }, nil
	}
	place, err := a.openGraph(ctx, o, toWrite)
	if err != nil {
		return nil, nil, err
	}
	if place.client != nil {
		return recorderFunc(func(ctx context.Context, origin string, body []byte) error {
			_, err := place.client.Add(ctx, origin, body)
			return err
		}), place.Close, nil
	}
	in := ingest.New(place.store, ingest.Options{})
	return recorderFunc(func(ctx context.Context, origin string, body []byte) error {
		_, err := in.Bytes(ctx, origin, body)
		return err
	}), place.Close, nil
}
