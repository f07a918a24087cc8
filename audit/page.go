package audit

import "fmt"

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

// Exposed reports whether the server answered with the page, or a part of it: HTTP status 2xx.
func (p Page) Exposed() bool { return p.State == Answered && p.Status/100 == 2 }

// Withheld reports whether the server said that this caller does not get the page, or that there is
// none: HTTP status 401, 403 or 404. Any other status is neither: a page that is missing behind a
// redirect or during a fault may be there at the next request.
func (p Page) Withheld() bool {
	return p.State == Answered && (p.Status == 401 || p.Status == 403 || p.Status == 404)
}

// Answer describes what the server did, for a reader.
func (p Page) Answer() string {
	request := fmt.Sprintf("GET %s %s", p.Path, p.Access)
	switch {
	case p.State != Answered:
		return request + ": " + p.Reason
	case p.Exposed(), p.Withheld():
		return fmt.Sprintf("%s got HTTP status %d", request, p.Status)
	default:
		return fmt.Sprintf("%s got HTTP status %d, which tells neither that the page is there nor that it is withheld", request, p.Status)
	}
}
