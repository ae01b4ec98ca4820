//go:build !unix

package graph

// locked says whether an error of locking a folder means that somebody else holds it.
func locked(err error) bool { return err != nil }
