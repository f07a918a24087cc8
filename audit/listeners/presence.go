package listeners

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/etcdsec/etcdsec/audit"
)

const speaksGRPCOnly = "the port speaks gRPC only; audit its listener for HTTP too (--listen-client-http-urls)"

// judgePresence judges whether the port serves a page with any access that it allows. etcd answers with
// one of the given statuses if the page exists; the first access that gets one is the finding, under
// the given code. The check passes only if every working access got no page.
func judgePresence(t *audit.Listener, path, code string, present ...int) audit.Outcome {
	var absent, doubt, grpcOnly string
	for _, access := range append(audit.Anonymous(), audit.WithCredentials) {
		page := t.Page(access, path)
		if page.State == audit.Untried {
			continue
		}
		if t.GRPCOnly(access) {
			grpcOnly = speaksGRPCOnly
			continue
		}
		if page.State != audit.Answered {
			doubt = fmt.Sprintf("GET %s %s: %s", path, access, page.Reason)
			continue
		}
		answer := fmt.Sprintf("GET %s %s got HTTP status %d", path, access, page.Status)
		switch {
		case slices.Contains(present, page.Status) && page.Typical:
			return audit.Failed(audit.Finding{Code: code, Text: answer})
		case page.Status == http.StatusNotFound:
			absent = answer
		default:
			doubt = answer + ", which etcd does not send"
		}
	}
	switch {
	case doubt != "":
		return audit.CouldNotTell(doubt)
	case absent != "":
		return audit.Passed(absent)
	case grpcOnly != "":
		return audit.Skipped(grpcOnly)
	default:
		return outcomeBehindCertificate(t)
	}
}

// outcomeBehindCertificate returns the outcome if no request for a page was possible.
func outcomeBehindCertificate(t *audit.Listener) audit.Outcome {
	anonymous, given := t.Agreed(audit.NoCertificate), t.Handshake(audit.GivenCertificate)
	switch {
	case !anonymous.SpokeTLS:
		return audit.CouldNotTell("no request for a page was possible: " + anonymous.Reason)
	case given.TrustFault != "":
		return audit.CouldNotTell(given.TrustFault)
	case given.Reason != "":
		return audit.CouldNotTell("the given client certificate: " + given.Reason)
	default:
		return audit.CouldNotTell("the port asks for a client certificate before it serves pages: add --cacert, --cert and --key of a client of etcd")
	}
}
