package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Bounds of what is read: a page of the largest objects that etcd takes, and as many pages
// as a cluster of 25,000 nodes has.
const (
	pageSize = "250"
	maxPage  = 64 << 20
	maxPages = 100
)

// errForbidden is the API server's refusal of a list.
var errForbidden = errors.New("forbidden")

// list reads all objects of a collection, such as /api/v1/nodes, that have the labels.
func (c *Client) list(ctx context.Context, collection, labels string) ([]json.RawMessage, error) {
	var all []json.RawMessage
	next := ""
	for range maxPages {
		query := url.Values{"limit": {pageSize}}
		if labels != "" {
			query.Set("labelSelector", labels)
		}
		if next != "" {
			query.Set("continue", next)
		}
		var page struct {
			Metadata struct {
				Continue string `json:"continue"`
			} `json:"metadata"`
			Items []json.RawMessage `json:"items"`
		}
		if err := c.get(ctx, collection, query, &page); err != nil {
			return nil, fmt.Errorf("listing %s: %w", collection, err)
		}
		all = append(all, page.Items...)
		if next = page.Metadata.Continue; next == "" {
			return all, nil
		}
	}
	return nil, fmt.Errorf("listing %s: more than %d pages", collection, maxPages)
}

func (c *Client) get(ctx context.Context, path string, query url.Values, into any) error {
	target := c.base.JoinPath(path)
	target.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return errors.New("the server's URL cannot be asked")
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "etcdsec-audit")
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		if failed, is := errors.AsType[*url.Error](err); is {
			err = failed.Err // without the URL, which is long
		}
		return fmt.Errorf("asking %s: %w", c.base.Host, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxPage+1))
	switch {
	case err != nil:
		return fmt.Errorf("asking %s: %w", c.base.Host, err)
	case len(body) > maxPage:
		return fmt.Errorf("%s answers more than %d MiB", c.base.Host, maxPage>>20)
	case response.StatusCode == http.StatusForbidden:
		return fmt.Errorf("%s: %w", c.base.Host, errForbidden)
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("%s answers HTTP status %d", c.base.Host, response.StatusCode)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s: the answer is not JSON", c.base.Host)
	}
	return nil
}
