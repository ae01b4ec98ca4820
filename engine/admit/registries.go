package admit

import (
	"context"

	"github.com/seaworthy-dev/seaworthy/source/oci"
)

// Asker is who wants to run an image: whose credentials it would be pulled with.
type Asker struct {
	Namespace      string
	ServiceAccount string // "" means the namespace's default
	PullSecrets    []string
}

// Registries opens repositories.
type Registries interface {
	// Open returns the repository of ref for who asks. class names the credentials that are used: what was seen with
	// some is told only to who has the same. It asks no registry. Errors: Unauthorized, Usage, Unavailable.
	Open(ctx context.Context, ref oci.Reference, who Asker) (p oci.Place, class string, err error)
}

// OneClient are registries that are asked with the same credentials whoever wants to know.
type OneClient struct{ Client *oci.Client }

// Open implements Registries.
func (o OneClient) Open(_ context.Context, ref oci.Reference, _ Asker) (oci.Place, string, error) {
	return &oci.Repository{Client: o.Client, Ref: ref}, "", nil
}

// RegistriesFunc is a function as Registries.
type RegistriesFunc func(ctx context.Context, ref oci.Reference, who Asker) (oci.Place, string, error)

// Open implements Registries.
func (f RegistriesFunc) Open(ctx context.Context, ref oci.Reference, who Asker) (oci.Place, string, error) {
	return f(ctx, ref, who)
}
