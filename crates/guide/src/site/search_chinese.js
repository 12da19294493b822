// Finds Chinese, which mdBook's search does not: its index takes for a word what stands between blanks, which in Chinese is a whole
// sentence, and its query drops every sign that is not Latin.
//
// A question in which a Chinese sign stands is answered from the texts that the index keeps for its excerpts: the sections in which
// each of its words stands as it is; where there are none, those in which most pairs of its signs stand.
(() => {
    const CHINESE = /\p{Script=Han}/u;
    const WORDS = /\p{Script=Han}+|(?:(?!\p{Script=Han})[\p{L}\p{N}_.-])+/gu;
    // Signs that an excerpt has before the first find, and in all.
    const BEFORE = 30;
    const EXCERPT = 110;

    const times = (text, word) => text.split(word).length - 1;

    function pairs(word) {
        const signs = [...word];
        return CHINESE.test(word) && signs.length > 2 ? signs.slice(1).map((sign, at) => signs[at] + sign) : [word];
    }

    // As elasticlunr weighs a word: by how often it stands there, against the length of the text.
    function weight(section, word, fields) {
        const weights = Object.entries(fields).map(([field, { boost }]) => {
            const text = section[field].toLowerCase();
            return text === '' ? 0 : boost * Math.sqrt(times(text, word) / text.length);
        });
        return weights.reduce((sum, one) => sum + one, 0);
    }

    // mdBook marks what stands between blanks.
    function excerpt(body, words) {
        const text = body.toLowerCase();
        const finds = words.map((word) => text.indexOf(word)).filter((at) => at >= 0);
        const from = Math.max(0, Math.min(...(finds.length === 0 ? [0] : finds)) - BEFORE);
        const part = body.slice(from, from + EXCERPT);
        return words.filter((word) => CHINESE.test(word)).reduce((all, word) => all.replaceAll(word, ` ${word} `), part);
    }

    function weighed(sections, words, fields) {
        return Object.entries(sections).map(([ref, section]) => {
            const weights = words.map((word) => weight(section, word, fields));
            const found = weights.filter((one) => one > 0).length;
            return { ref, section, found, score: weights.reduce((sum, one) => sum + one, 0) };
        });
    }

    function answer(sections, question, fields) {
        let words = question.toLowerCase().match(WORDS);
        let results = weighed(sections, words, fields).filter(({ found }) => found === words.length);
        if (results.length === 0) {
            words = words.flatMap(pairs);
            results = weighed(sections, words, fields).filter(({ found }) => found > 0);
        }
        results.sort((one, other) => other.found - one.found || other.score - one.score);
        return results.map(({ ref, section, score }) => {
            return { ref, score, doc: { ...section, body: excerpt(section.body, words) } };
        });
    }

    function withChinese(library) {
        const { search } = library.Index.prototype;
        library.Index.prototype.search = function (question, options) {
            return CHINESE.test(question)
                ? answer(this.documentStore.docs, question, options.fields)
                : search.call(this, question, options);
        };
        return library;
    }

    // This stands before the library: a page whose address has a question asks it as soon as the index is there.
    let library;
    Object.defineProperty(window, 'elasticlunr', {
        get: () => library,
        set: (loaded) => {
            library = withChinese(loaded);
        },
    });
})();
