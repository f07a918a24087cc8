package status

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/internal/layout"
	"github.com/etcdsec/etcdsec/internal/legible"
	"github.com/etcdsec/etcdsec/pki"
)

// WriteText writes the report as a table.
func (r Report) WriteText(out io.Writer) error {
	table := layout.NewTable(out, "STATE", "NAME", "ROLE", "ENDS", "DAYS", "KEY", "ISSUER", "NAMES", "DETAIL")
	for _, row := range r.Certificates {
		state, ends, days := string(row.State), "", ""
		if row.Live != "" && row.Live != LiveServed {
			state = string(row.Live)
		}
		if row.NotAfter != nil {
			ends, days = row.NotAfter.Format(time.DateOnly), fmt.Sprint(row.DaysLeft)
		}
		name := row.Name
		if row.State == pki.StateUnreadable || row.Role == RoleLive {
			name = row.Source
		}
		detail := row.Detail
		if row.Live == LiveServed && detail == "" {
			detail = "the server presents the certificate on the disk"
		}
		table.Row(state, legible.Line(name), row.Role, ends, days, row.Key, legible.Line(row.Issuer), legible.Line(shorten(row.SANs)), legible.Line(detail))
	}
	return table.Flush()
}

// shorten returns the first two names, and how many more there are.
func shorten(names []string) string {
	const most = 2
	if len(names) > most {
		return fmt.Sprintf("%s +%d", strings.Join(names[:most], " "), len(names)-most)
	}
	return strings.Join(names, " ")
}
