// Draws each `<pre class="mermaid">` in the colours of the theme, and anew when the theme changes.
//
// The library is large: only a page that has a drawing loads it. It stands beside the books, for both languages. Without it, or
// without scripts, the text of the drawing stays.
/* global mermaid, path_to_root */
(() => {
    const DARK = ['ayu', 'coal', 'navy'];
    // On a narrow screen a drawing is scrolled rather than made smaller than this.
    const SMALLEST = 0.75;

    // The column of a book is narrow: what is drawn from left to right elsewhere goes down here.
    const down = (text) => text.replace(/^flowchart LR/, 'flowchart TB');

    const drawings = [...document.querySelectorAll('pre.mermaid')].map((place) => ({ place, text: down(place.textContent) }));
    if (drawings.length === 0) {
        return;
    }
    let shown = null;

    async function draw() {
        const theme = DARK.some((name) => document.documentElement.classList.contains(name)) ? 'dark' : 'default';
        if (theme === shown) {
            return;
        }
        shown = theme;
        mermaid.initialize({ startOnLoad: false, theme });
        for (const { place, text } of drawings) {
            place.textContent = text;
            delete place.dataset.processed;
        }
        await mermaid.run({ nodes: drawings.map(({ place }) => place) });
        for (const { place } of drawings) {
            const svg = place.querySelector('svg');
            svg.style.minWidth = `${SMALLEST * parseFloat(svg.style.maxWidth)}px`;
        }
    }

    const library = document.createElement('script');
    library.src = `${path_to_root}../mermaid.min.js`;
    library.onload = () => {
        // One after the other: a theme may change while it is drawn.
        let last = Promise.resolve();
        const next = () => {
            last = last.then(draw).catch(console.error);
        };
        new MutationObserver(next).observe(document.documentElement, { attributeFilter: ['class'] });
        next();
    };
    document.head.append(library);
})();
