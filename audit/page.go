package audit

// Access tells with what credentials a request came.
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
	// Typical is set when the answer is of the kind that etcd gives on this path. It is only
	// looked at where a status alone could be anybody's.
	Typical bool
	// AllowsOrigin is set when the answer lets pages of the foreign origin of the request read it.
	AllowsOrigin bool
}
