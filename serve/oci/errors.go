package oci

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/seaworthy-dev/seaworthy/engine/registry"
)

// answer is how a reason is told: status and the code of distribution-spec, "Error Codes".
type answer struct {
	status int
	code   string
}

// Reasons that only exist in HTTP.
const (
	unsupported  registry.Reason = "unsupported"  // there is no such endpoint or method
	unauthorized registry.Reason = "unauthorized" // say who you are
	denied       registry.Reason = "denied"       // not you
	foreign      registry.Reason = "foreign"      // a web page of somebody else's is asking
	badRequest   registry.Reason = "bad-request"  // a parameter makes no sense
	noEndpoint   registry.Reason = "no-endpoint"
)

// answers is the one map from what is wrong to what a client is told.
var answers = map[registry.Reason]answer{
	registry.NameInvalid:        {http.StatusBadRequest, "NAME_INVALID"},
	registry.NameUnknown:        {http.StatusNotFound, "NAME_UNKNOWN"},
	registry.BlobUnknown:        {http.StatusNotFound, "BLOB_UNKNOWN"},
	registry.UploadUnknown:      {http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN"},
	registry.UploadInvalid:      {http.StatusBadRequest, "BLOB_UPLOAD_INVALID"},
	registry.UploadBusy:         {http.StatusConflict, "BLOB_UPLOAD_INVALID"},
	registry.RangeInvalid:       {http.StatusRequestedRangeNotSatisfiable, "BLOB_UPLOAD_INVALID"},
	registry.DigestInvalid:      {http.StatusBadRequest, "DIGEST_INVALID"},
	registry.SizeInvalid:        {http.StatusBadRequest, "SIZE_INVALID"},
	registry.ManifestInvalid:    {http.StatusBadRequest, "MANIFEST_INVALID"},
	registry.ManifestUnknown:    {http.StatusNotFound, "MANIFEST_UNKNOWN"},
	registry.ManifestIncomplete: {http.StatusNotFound, "MANIFEST_BLOB_UNKNOWN"},
	registry.TooLarge:           {http.StatusRequestEntityTooLarge, "SIZE_INVALID"},
	registry.TooManyTags:        {http.StatusRequestURITooLong, "UNSUPPORTED"},
	registry.TooMany:            {http.StatusTooManyRequests, "TOOMANYREQUESTS"},
	registry.Full:               {http.StatusInsufficientStorage, "STORAGE_FULL"},
	registry.Broken:             {http.StatusInternalServerError, "UNKNOWN"},
	registry.Closing:            {http.StatusServiceUnavailable, "UNKNOWN"},
	unsupported:                 {http.StatusMethodNotAllowed, "UNSUPPORTED"},
	noEndpoint:                  {http.StatusNotFound, "UNSUPPORTED"},
	unauthorized:                {http.StatusUnauthorized, "UNAUTHORIZED"},
	denied:                      {http.StatusForbidden, "DENIED"},
	foreign:                     {http.StatusForbidden, "DENIED"},
	badRequest:                  {http.StatusBadRequest, "UNSUPPORTED"},
}

func wrong(reason registry.Reason, message string) error {
	return &registry.Error{Reason: reason, Err: errors.New(message)}
}

// fail answers with an error. What the disk says stays in the log: paths are nobody's business.
func fail(w http.ResponseWriter, err error) {
	a, ok := answers[registry.ReasonOf(err)]
	if !ok {
		a = answers[registry.Broken]
	}
	message := err.Error()
	if a.status >= http.StatusInternalServerError {
		message = "the registry cannot keep or read this at present"
		if a.status == http.StatusInsufficientStorage {
			message = "the registry's disk is full"
		}
	}
	if a.status == http.StatusServiceUnavailable || a.status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "5")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	body, _ := json.Marshal(map[string]any{"errors": []map[string]string{{"code": a.code, "message": message}}})
	w.WriteHeader(a.status)
	_, _ = w.Write(append(body, '\n'))
}
