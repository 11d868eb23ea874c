"""The shortest ways that we know to three answers, in clew's page and in Phoenix 20.

Each takes a reader's hands on a page that was just opened, and returns what is read at the end.
Where a reader of Phoenix has to guess or to look for something, the first guess is right, and
looking and scrolling cost nothing.
"""

from tests.release.phoenix.hands import Hands

USER = "ada"


class Clew:
    """``clew view`` opens its list of sessions."""

    def __init__(self, wanted) -> None:
        self.wanted = wanted

    def last_conversation(self, hands: Hands) -> str:
        page = hands.page
        hands.click(page.get_by_label("User", exact=True))
        hands.type(USER)
        hands.press("Enter")
        page.get_by_label(f"Remove the filter user: {USER}").wait_for()
        hands.click(page.locator("a[data-row]").first)
        return _seen(page.locator(".turn .assistant", has_text=self.wanted.answer).first)

    def first_failing_turn(self, hands: Hands) -> str:
        page = hands.page
        hands.click(page.get_by_role("link", name="Most errors"))
        page.locator("a[aria-current=true]", has_text="Most errors").wait_for()
        hands.click(page.get_by_title("To the first turn that failed").first)
        turn = page.locator(".turn:target")
        turn.locator(".talk > .error").get_by_text(self.wanted.error).wait_for()
        return _seen(turn.locator(".user .text"))

    def most_expensive_user(self, hands: Hands) -> str:
        page = hands.page
        hands.click(page.get_by_role("link", name="Users", exact=True))
        hands.click(page.get_by_role("link", name="Most expensive"))
        page.locator("a[aria-current=true]", has_text="Most expensive").wait_for()
        return _seen(page.locator("a[data-row]").first)


class Phoenix:
    """Phoenix opens its list of projects; there is one."""

    def __init__(self, wanted) -> None:
        self.wanted = wanted

    def last_conversation(self, hands: Hands) -> str:
        # Its search (Ctrl-K) finds no users. The list of sessions begins with the newest.
        self._filtered_sessions(hands, f'user.id == "{USER}"')
        self._open(hands, self.wanted.last_session)
        return _seen(hands.page.get_by_role("dialog").get_by_text(self.wanted.answer).last)

    def first_failing_turn(self, hands: Hands) -> str:
        # Neither a column nor an order says how many turns of a session failed; a filter does. The
        # reader is taken to know the highest number. Nor are turns of a session marked as failed:
        # the reader is taken to recognise the one, and to read no error.
        self._filtered_sessions(hands, f"num_traces_with_error >= {self.wanted.failed_turns}")
        self._open(hands, self.wanted.worst_session)
        turn = hands.page.get_by_role("dialog").get_by_text(self.wanted.question).last
        turn.scroll_into_view_if_needed()
        return _seen(turn)

    def look_for_users(self, hands: Hands, dearest_session: str) -> list[list[str]]:
        """Go through what could show users' costs; return who is named on each of the pages."""
        page, found = hands.page, []
        self._open_project(hands)
        found.append(self._names(hands))
        hands.click(page.get_by_role("tab", name="Traces"))
        found.append(self._names(hands))
        hands.click(page.get_by_role("tab", name="Sessions"))
        page.locator("tbody tr", has_text="session-").first.wait_for()
        found.append(self._names(hands))
        hands.click(page.get_by_text("total cost"))
        page.wait_for_function(
            "name => document.querySelector('tbody tr').innerText.includes(name)",
            arg=dearest_session,
        )
        found.append(self._names(hands))
        hands.click(page.get_by_role("tab", name="Metrics"))
        page.get_by_text("Top models by cost").wait_for()
        found.append(self._names(hands))
        hands.click(page.get_by_role("link", name="Dashboards"))
        page.get_by_text("Select project").first.wait_for()
        found.append(self._names(hands))
        return found

    def _names(self, hands: Hands) -> list[str]:
        hands.page.wait_for_load_state("networkidle")
        return hands.page.evaluate(_NAMES, [self.wanted.users, self.wanted.sessions])

    @staticmethod
    def _open_project(hands: Hands) -> None:
        hands.click(hands.page.get_by_role("link", name="default").first)

    def _filtered_sessions(self, hands: Hands, condition: str) -> None:
        page = hands.page
        self._open_project(hands)
        hands.click(page.get_by_role("tab", name="Sessions"))
        editor = page.locator(".cm-content")
        editor.get_by_text("num_traces >= 5").wait_for()  # What it says while it is empty.
        hands.click(editor)
        hands.type(condition)
        page.wait_for_function(_FILTERED, arg=condition)  # It applies by itself.

    @staticmethod
    def _open(hands: Hands, session: str) -> None:
        first = hands.page.locator("tbody tr").first.get_by_text(session, exact=True)
        hands.click(first)


def _seen(wanted) -> str:
    wanted.wait_for()
    return wanted.inner_text()


_FILTERED = """
condition => new URL(location).searchParams.get('sessionFilterCondition') === condition
"""
_NAMES = """
([users, sessions]) => {
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode.data;
    if (!users.some(user => text === user)) continue;
    const row = walk.currentNode.parentElement.closest('tr');
    if (!row || !sessions.some(id => row.innerText.includes(id))) found.push(text);
  }
  return found;
}
"""
