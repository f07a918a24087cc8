package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// Markdown writes GitHub-flavoured Markdown for a ticket or a job summary.
type Markdown struct{}

// Render implements Renderer.
func (Markdown) Render(w io.Writer, r audit.Report) error {
	r = makeLegible(r)
	var b strings.Builder
	fmt.Fprintf(&b, "# Audit of etcd\n\n%s %s, %s\n\n", markdownText(r.Tool.Name), markdownText(r.Tool.Version), r.FinishedAt.UTC().Format("2006-01-02 15:04:05 MST"))
	s := r.Summary
	fmt.Fprintf(&b, "**%d fail**, **%d unknown**, %d waived, %d pass, %d skip\n", s.Fail, s.Unknown, s.Waived, s.Pass, s.Skip)
	groups := groupByTarget(r.Results)
	if len(groups) > 0 {
		b.WriteString("\n| Target | Kind | Fail | Unknown | Waived | Pass | Skip |\n| --- | --- | ---: | ---: | ---: | ---: | ---: |\n")
	}
	for _, g := range groups {
		fmt.Fprintf(&b, "| %s | %s |", tableCell(codeSpan(g.target)), tableCell(markdownText(string(g.kind))))
		for _, v := range shownVerdicts() {
			fmt.Fprintf(&b, " %d |", g.count[v])
		}
		b.WriteByte('\n')
	}
	for _, part := range []struct {
		verdict audit.Verdict
		title   string
	}{{audit.Fail, "Findings"}, {audit.Unknown, "Questions without an answer"}, {waived, "Waived"}} {
		title, explained := part.title, map[string]bool{}
		for _, result := range worstFirst(r.Results) {
			if verdictOf(result) != part.verdict {
				continue
			}
			if title != "" {
				fmt.Fprintf(&b, "\n## %s\n", title)
				title = ""
			}
			writeMarkdownResult(&b, result, explained[result.CheckID])
			explained[result.CheckID] = true
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeMarkdownResult writes one result. Only the first finding of a check says why it matters.
func writeMarkdownResult(b *strings.Builder, result audit.Result, explained bool) {
	fmt.Fprintf(b, "\n### %s: %s on %s\n\n%s\n\n", markdownText(string(result.Severity)), codeSpan(result.CheckID), codeSpan(result.Target), markdownText(result.Title))
	fmt.Fprintf(b, "- **Seen:** %s\n", codeSpan(result.Evidence))
	switch verdictOf(result) {
	case audit.Fail:
		if result.Rationale != "" && !explained {
			fmt.Fprintf(b, "- **Why:** %s\n", markdownText(result.Rationale))
		}
		if len(result.References) > 0 && !explained {
			fmt.Fprintf(b, "- **See:** %s\n", markdownText(strings.Join(result.References, ", ")))
		}
		writeMarkdownRemediation(b, result.Remediation)
	case waived:
		fmt.Fprintf(b, "- **Waived** %s\n", markdownText(waiverText(result.Waiver)))
	default: // an unknown says what it has to by its evidence
	}
}

// writeMarkdownRemediation puts the lines to paste into fenced blocks, which GitHub gives a
// button to copy.
func writeMarkdownRemediation(b *strings.Builder, remediation audit.Remediation) {
	if len(remediation) == 0 {
		return
	}
	b.WriteString("- **Fix:**")
	fence := strings.Repeat("`", max(3, longestRun(remediation.String(), '`')+1))
	pasting := false
	for _, line := range remediation {
		if line.Paste != pasting {
			b.WriteString("\n  " + fence)
			pasting = line.Paste
			if !pasting {
				b.WriteString("\n ")
			}
		}
		if pasting {
			b.WriteString("\n  " + line.Text)
		} else {
			b.WriteString(" " + markdownText(line.Text))
		}
	}
	if pasting {
		b.WriteString("\n  " + fence)
	}
	b.WriteByte('\n')
}

// markdownText escapes every character that has a meaning in Markdown or in HTML.
func markdownText(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\n':
			b.WriteString("  \n")
			continue
		case r == '<':
			b.WriteString("&lt;")
			continue
		case r == '&':
			b.WriteString("&amp;")
			continue
		case strings.ContainsRune("\\`*_{}[]>#|!~$@", r):
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// codeSpan returns foreign text as a code span, in which GitHub makes no links, mentions or HTML.
func codeSpan(text string) string {
	if strings.TrimSpace(text) == "" {
		return "–"
	}
	fence := strings.Repeat("`", longestRun(text, '`')+1)
	if strings.HasPrefix(text, "`") || strings.HasSuffix(text, "`") {
		text = " " + text + " "
	}
	return fence + strings.ReplaceAll(text, "\n", " ") + fence
}

// tableCell escapes the one character that ends a cell even within a code span.
func tableCell(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, `\|`, "|"), "|", `\|`)
}

// longestRun returns the length of the longest run of c in text.
func longestRun(text string, c byte) int {
	longest, run := 0, 0
	for i := range len(text) {
		if text[i] != c {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return longest
}
