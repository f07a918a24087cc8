package audit

// Access names the credentials of a request.
type Access string

// The kinds of access, from none to all.
const (
	InPlaintext        Access = "in plaintext"
	WithoutCertificate Access = "over TLS without a client certificate"
	WithCredentials    Access = "with the given client certificate"
)

// Anonymous returns the kinds of access that everybody has.
func Anonymous() []Access { return []Access{InPlaintext, WithoutCertificate} }

// Page is one HTTP GET.
type Page struct {
	Attempt
	Access Access
	Path   string
	Status int // the HTTP status, if Answered
	// Typical is set if the answer has the form of etcd's answer on this path. It matters only where any
	// server could send the same status.
	Typical bool
	// AllowsOrigin is set if the answer lets pages of the request's foreign origin read it.
	AllowsOrigin bool
}
