// Looks at a report as a reader does, and names what a reader could not see.
(() => {
  const faults = [];
  const visible = (e) => {
    const box = e.getBoundingClientRect();
    const style = getComputedStyle(e);
    return box.width > 0 && box.height > 0 && style.visibility === 'visible' && Number(style.opacity) > 0;
  };
  const ownText = (e) => [...e.childNodes].filter((n) => n.nodeType === Node.TEXT_NODE).map((n) => n.data).join('').trim();
  const show = (e) => `${e.tagName.toLowerCase()} "${e.textContent.trim().slice(0, 60)}"`;

  // The page never scrolls sideways; what is wide scrolls in its own frame.
  if (document.documentElement.scrollWidth > innerWidth) {
    faults.push(`the page is wider than the window: ${document.documentElement.scrollWidth} > ${innerWidth}`);
  }

  // WCAG 2.2, 1.4.3: the contrast of text is at least 4.5.
  const rgb = (colour) => (colour.match(/[\d.]+/g) || []).map(Number);
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const background = (e) => {
    const box = e.tagName === 'text' && e.parentElement.querySelector('rect.box');
    if (box) return rgb(getComputedStyle(box).fill);
    for (; e; e = e.parentElement) {
      const colour = rgb(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  let texts = 0;
  for (const e of document.querySelectorAll('main *')) {
    if (!ownText(e) || e.tagName === 'title' || !visible(e)) continue;
    texts++;
    const style = getComputedStyle(e);
    const [a, b] = [luminance(rgb(e instanceof SVGElement ? style.fill : style.color)), luminance(background(e))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) faults.push(`the contrast of ${show(e)} is ${contrast.toFixed(2)}`);
    if (style.overflow !== 'visible' && !(e instanceof SVGElement) && e.scrollWidth > e.clientWidth + 1) faults.push(`${show(e)} is cut off`);
  }

  // Every text of a drawing is within it, within its own box, and beside the bars.
  let drawn = 0;
  for (const svg of document.querySelectorAll('main svg')) {
    drawn += svg.querySelectorAll('rect, path, circle, line').length;
    const frame = svg.getBoundingClientRect();
    for (const e of svg.querySelectorAll('text, rect, path, circle, line')) {
      const box = e.getBoundingClientRect();
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1) {
        faults.push(`${show(e)} runs out of the drawing`);
      }
    }
    for (const text of svg.querySelectorAll('g > text')) {
      const rect = text.parentElement.querySelector('rect');
      if (!rect) continue;
      const [inner, outer] = [text.getBoundingClientRect(), rect.getBoundingClientRect()];
      if (rect.classList.contains('bar')) {
        if (inner.left < outer.right && inner.right > outer.left) faults.push(`${show(text)} lies over its bar`);
      } else if (inner.left < outer.left || inner.right > outer.right || inner.top < outer.top || inner.bottom > outer.bottom) {
        faults.push(`${show(text)} runs out of its box`);
      }
    }
    const all = [...svg.querySelectorAll('text')].map((e) => [e, e.getBoundingClientRect()]);
    all.forEach(([a, p], i) => all.slice(i + 1).forEach(([b, q]) => {
      if (Math.min(p.right, q.right) - Math.max(p.left, q.left) > 1 && Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top) > 4) {
        faults.push(`${show(a)} lies over ${show(b)}`);
      }
    }));
  }

  return {
    title: document.title,
    sections: [...document.querySelectorAll('section[id]')].filter(visible).map((e) => e.id),
    findings: [...document.querySelectorAll('#findings h3')].filter(visible).map((e) => e.textContent),
    drawn, texts, faults,
  };
})()
