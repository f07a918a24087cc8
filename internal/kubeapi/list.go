package kubeapi

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

const (
	// MetadataOnly is the media type of a list that has only the metadata of each object.
	MetadataOnly = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

	pageSize = 250
	maxPages = 100
	// maxCollectionPages is enough for all objects that etcd can store: 8 GiB of the smallest.
	maxCollectionPages = 100_000
)

// Page is one part of a list, such as *corev1.PodList, of which T is corev1.PodList.
type Page[T any] interface {
	*T
	runtime.Object
	metav1.ListInterface
}

// List reads a small collection, such as /api/v1/nodes, and visits each page of it. labels is a label
// selector; empty selects every object. All pages together have the size limit of one answer, so a
// visitor may keep them.
func List[T any, P Page[T]](ctx context.Context, c *Client, collection, labels string, visit func(P) error) error {
	query := url.Values{}
	if labels != "" {
		query.Set("labelSelector", labels)
	}
	return eachPage(withBudget(ctx, maxAnswer), c, collection, query, pages{size: pageSize, most: maxPages}, visit)
}

// ListMetadata reads the names of a collection of any size and visits each page. The API
// server sends no other part of an object, and an answer with more is an error.
func ListMetadata(ctx context.Context, c *Client, collection string, size int, visit func(*metav1.PartialObjectMetadataList) error) error {
	return eachPage(ctx, c, collection, url.Values{}, pages{size: size, most: maxCollectionPages, accept: MetadataOnly}, visit)
}

// pages has the limits of the pages of a list.
type pages struct {
	size, most int
	accept     string
}

func eachPage[T any, P Page[T]](ctx context.Context, c *Client, collection string, query url.Values, p pages, visit func(P) error) error {
	query.Set("limit", strconv.Itoa(p.size))
	for range p.most {
		page, err := readPage[T, P](ctx, c, collection, query, p)
		if err != nil {
			return fmt.Errorf("listing %s: %w", collection, err)
		}
		if err := visit(page); err != nil {
			return err
		}
		next := page.GetContinue()
		if next == "" {
			return nil
		}
		query.Set("continue", next)
	}
	return fmt.Errorf("listing %s: more than %d pages", collection, p.most)
}

func readPage[T any, P Page[T]](ctx context.Context, c *Client, collection string, query url.Values, p pages) (P, error) {
	result := c.do(ctx, c.request(http.MethodGet, collection, query, p.accept))
	if err := result.Error(); err != nil {
		return nil, c.explain(err)
	}
	// The decoder's error quotes the answer, so it is not passed on.
	answer, err := result.Get()
	page, is := answer.(P)
	if err != nil || !is {
		return nil, fmt.Errorf("%s: the answer is not JSON of a %T", c.base.Host, *new(T))
	}
	if n := meta.LenList(page); n > p.size {
		return nil, fmt.Errorf("%s answers %d objects where it was asked for %d at most", c.base.Host, n, p.size)
	}
	return page, nil
}
